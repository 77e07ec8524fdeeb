//! Signatures as OpenSSH's PROTOCOL.sshsig has them: never over raw bytes, always under a namespace, so
//! that what was signed for one purpose is worth nothing for another.

use ed25519_dalek::{Signature, VerifyingKey};
use ssh_key::{HashAlg, SshSig};

use super::public::PublicKey;

/// What is signed for a message: magic, namespace, and the message's SHA-512. `None` only for an empty namespace.
pub(super) fn envelope(namespace: &str, message: &[u8]) -> Option<Vec<u8>> {
    SshSig::signed_data(namespace, HashAlg::Sha512, message).ok()
}

/// Whether `key` signed this message for this purpose. Signatures that could be written in two ways are none.
pub(super) fn verifies(key: &PublicKey, namespace: &str, message: &[u8], signature: &[u8; 64]) -> bool {
    let (Ok(key), Some(signed)) = (VerifyingKey::from_bytes(key.bytes()), envelope(namespace, message)) else { return false };
    key.verify_strict(&signed, &Signature::from_bytes(signature)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use ssh_key::{Algorithm, LineEnding};

    use super::super::signer::Signer;
    use super::*;

    #[test]
    fn ssh_keygen_accepts_what_is_signed_here_and_only_under_its_namespace() {
        let signer = Signer::from_seed([7; 32]);
        let signature = signer.sign("midwatch-test", b"four bells").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let data = ssh_key::public::KeyData::Ed25519(ssh_key::public::Ed25519PublicKey(*signer.public().bytes()));
        let whole = SshSig::new(data, "midwatch-test", HashAlg::Sha512, ssh_key::Signature::new(Algorithm::Ed25519, signature.to_vec()).unwrap()).unwrap();
        std::fs::write(folder.path().join("sig"), whole.to_pem(LineEnding::LF).unwrap()).unwrap();
        std::fs::write(folder.path().join("allowed"), format!("kim {}\n", signer.public().line())).unwrap();
        std::fs::write(folder.path().join("message"), b"four bells").unwrap();
        let verifies = |namespace: &str| {
            let message = std::fs::File::open(folder.path().join("message")).unwrap();
            let ran = Command::new("ssh-keygen")
                .args(["-Y", "verify", "-f", "allowed", "-I", "kim", "-n", namespace, "-s", "sig"])
                .current_dir(folder.path())
                .stdin(message)
                .output()
                .expect("ssh-keygen runs (Debian: openssh-client)");
            ran.status.success()
        };
        assert!(verifies("midwatch-test"));
        assert!(!verifies("midwatch-other"));
        assert!(super::verifies(&signer.public(), "midwatch-test", b"four bells", &signature));
        assert!(!super::verifies(&signer.public(), "midwatch-other", b"four bells", &signature));
        assert!(!super::verifies(&signer.public(), "midwatch-test", b"five bells", &signature));
        assert!(!super::verifies(&Signer::from_seed([8; 32]).public(), "midwatch-test", b"four bells", &signature));
    }
}
