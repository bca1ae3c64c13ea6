//! Which of the settings are secrets, so that no word of others shows them.

use percent_encoding::percent_decode_str;
use url::Url;

use super::Settings;
use super::address::parse;
use crate::database::PasswordFile;
use crate::foreign_text;

impl Settings {
    /// From now on, hides every secret among the settings: also one that is
    /// not in use, such as a region's other token.
    pub fn hide_secrets(&self) {
        let named = |name: &str| {
            let kinds = ["SECRET", "SECRET_PREVIOUS", "_KEY", "_TOKEN", "PASSWORD"];
            kinds.iter().any(|kind| name.ends_with(kind))
        };
        let secrets = self.all().filter(|(name, _)| named(name));
        foreign_text::hide(secrets.map(|(_, value)| value.trim()));
        let address = |value: &str| parse(value.trim()).ok().or_else(|| Url::parse(value).ok());
        let addresses = self.all().filter_map(|(_, value)| address(value));
        for password in addresses.filter_map(|url| Some(url.password()?.to_owned())) {
            // Also as a server may quote it: as it was before it stood in an address.
            let decoded = percent_decode_str(&password).decode_utf8_lossy();
            foreign_text::hide([&*password, &*decoded]);
        }
        let file = self.raw(super::database::PASSWORD_FILE);
        let in_file = file.and_then(|path| PasswordFile::new(path.trim()).read().ok());
        foreign_text::hide(in_file.as_deref());
    }
}
