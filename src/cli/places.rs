//! Where midwatch keeps its files, by the XDG base directories.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use super::failure::Failure;
use crate::store::whole;
use crate::trust::KnownServers;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places {
    /// `~/.config/midwatch`: what a person writes.
    pub config: PathBuf,
    /// `~/.local/share/midwatch`: what the embedded server keeps.
    pub data: PathBuf,
    /// `~/.local/state/midwatch`: logs, what was seen last, what is not sent yet.
    pub state: PathBuf,
}

impl Places {
    pub fn find() -> Result<Places, Failure> {
        let dirs = ProjectDirs::from("", "", "midwatch")
            .ok_or_else(|| Failure::failed("there is no home folder to keep anything in", "Set HOME to a folder that you may write to"))?;
        Ok(Places {
            config: dirs.config_dir().to_owned(),
            data: dirs.data_dir().to_owned(),
            state: dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned(),
        })
    }

    pub fn console_config(&self) -> PathBuf {
        self.config.join("console.toml")
    }

    /// Laid over the shipped keymap when it is there.
    pub fn keymap(&self) -> PathBuf {
        self.config.join("keymap.toml")
    }

    /// The saved views.
    pub fn views(&self) -> PathBuf {
        self.config.join("views.toml")
    }

    /// The user's own themes.
    pub fn themes(&self) -> PathBuf {
        self.config.join("themes")
    }

    pub fn server_config(&self) -> PathBuf {
        self.config.join("server.toml")
    }

    pub fn agent_config(&self) -> PathBuf {
        self.config.join("agent.toml")
    }

    /// The key that says who the person is.
    pub fn person_key(&self) -> PathBuf {
        self.data.join("keys/id_ed25519")
    }

    /// The keys of servers that were met.
    pub fn known_servers(&self) -> KnownServers {
        KnownServers::at(self.data.join("keys/known_servers"))
    }

    /// The folder of the embedded server that watches this machine.
    pub fn embedded(&self) -> PathBuf {
        self.data.join("embedded")
    }
}

/// Makes a folder that only its user may look into.
pub fn make_private(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |error: std::io::Error| {
        Failure::failed(
            format!("cannot make the folder {}: {error}", folder.display()),
            "Make it yourself, or set XDG_DATA_HOME and XDG_STATE_HOME to folders that you may write to",
        )
    };
    whole::make_private(folder).map_err(failed)?;
    let mode = std::fs::metadata(folder).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}
