//! How a platform runs, written down in its folder: other commands find it there, whatever `up` was told.

use std::fs;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::settings::{Parts, Profile, Settings};

impl Settings {
    /// Writes down what `up` was told.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self) -> anyhow::Result<()> {
        let mut ports = self.ports;
        let ports: Map<String, Value> = ports
            .named()
            .map(|(name, port)| (name.to_owned(), json!(*port)))
            .into_iter()
            .collect();
        let saved = json!({
            "ports": ports,
            "release": self.profile == Profile::Release,
            "containers": self.parts == Parts::Containers,
        });
        fs::create_dir_all(&self.folder)?;
        Ok(fs::write(self.folder.join(FILE), format!("{saved:#}\n"))?)
    }

    /// The platform `name` as it was last started; as it would be, if it never was.
    ///
    /// # Errors
    /// The name is no name, or what was written down cannot be read.
    pub fn saved(name: &str) -> anyhow::Result<Self> {
        let mut settings = Self::named(name)?;
        let file = settings.folder.join(FILE);
        let Ok(text) = fs::read_to_string(&file) else {
            return Ok(settings);
        };
        let saved: Value = serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))?;
        for (name, place) in settings.ports.named() {
            let port = saved["ports"][name].as_u64().and_then(|port| u16::try_from(port).ok());
            *place = port.unwrap_or(*place);
        }
        if saved["release"] == true {
            settings.profile = Profile::Release;
        }
        if saved["containers"] == true {
            settings.parts = Parts::Containers;
        }
        Ok(settings)
    }
}

const FILE: &str = "platform.json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_up_was_told_is_found_again() {
        let name = format!("saved-{}", std::process::id());
        let mut settings = Settings::named(&name).expect("a name");
        settings.ports.move_one("gateway=9080").expect("a port");
        settings.profile = Profile::Release;
        settings.save().expect("saved");
        let found = Settings::saved(&name).expect("found");
        fs::remove_dir_all(&settings.folder).expect("deleted");
        assert_eq!((found.ports.gateway, found.ports.kafka), (9080, 9092));
        assert_eq!((found.profile, found.parts), (Profile::Release, Parts::Native));
        assert_eq!(Settings::saved(&name).expect("as it would be").ports.gateway, 8080);
    }
}
