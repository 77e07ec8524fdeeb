//! A server's own certificate: a function of its key and its names, and of nothing else. So it is the same
//! after every start, and its public key, by which the server is known, is the same for ever.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ED25519, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use super::super::key::ServerKey;
use super::super::private::KeyError;

pub struct OwnCertificate {
    /// For those who check certificates as browsers do: `ca_file` of a Prometheus, `--cacert` of curl.
    pub pem: String,
    pub certified: Arc<CertifiedKey>,
}

impl OwnCertificate {
    /// `names`: the names and addresses by which the server is reached. It does not end (RFC 5280, 4.1.2.5:
    /// 9999-12-31): who trusts it trusts its key, and a clock that is wrong keeps nobody out.
    pub fn new(key: &ServerKey, names: &[String]) -> Result<OwnCertificate, KeyError> {
        let failed = |why: String| KeyError::new(Path::new("the server's certificate"), why, "Look at `names` in [tls]");
        let mut params = CertificateParams::new(names.to_vec()).map_err(|error| failed(error.to_string()))?;
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(9999, 12, 31);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, format!("midwatch {}", key.origin()));
        params.distinguished_name = name;
        let pkcs8 = key.pkcs8();
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &PKCS_ED25519).map_err(|error| failed(error.to_string()))?;
        let certificate = params.self_signed(&pair).map_err(|error| failed(error.to_string()))?;
        let signing = rustls::crypto::ring::sign::any_supported_type(&PrivateKeyDer::Pkcs8(pkcs8)).map_err(|error| failed(error.to_string()))?;
        Ok(OwnCertificate { pem: certificate.pem(), certified: Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing)) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::key_of;
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn its_key_is_the_servers_and_it_is_the_same_after_every_start() {
        let key = ServerKey::from_seed([7; 32]);
        let one = OwnCertificate::new(&key, &names(&["ops.example.org", "10.0.0.5", "::1"])).unwrap();
        assert_eq!(key_of(&one.certified.cert[0]), Some(key.public().unwrap()));
        one.certified.keys_match().unwrap();
        assert_eq!(OwnCertificate::new(&ServerKey::from_seed([7; 32]), &names(&["ops.example.org", "10.0.0.5", "::1"])).unwrap().pem, one.pem);
        let renamed = OwnCertificate::new(&key, &names(&["other.example.org"])).unwrap();
        assert_ne!(renamed.pem, one.pem);
        assert_eq!(key_of(&renamed.certified.cert[0]), Some(key.public().unwrap()));
        assert!(!one.pem.contains("PRIVATE"));
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let why = OwnCertificate::new(&ServerKey::from_seed([7; 32]), &names(&["café.example"])).err().unwrap().to_string();
        assert!(why.contains("names"), "{why}");
    }
}
