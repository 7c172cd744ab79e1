//! Tells which names are of secrets. Each name is judged once: the names of fields and types are few, values are many.

use tinyio_events::secrets::Secrets;

use super::hash::FastMap;

/// Names of variables, fields and types that were judged. Keys of maps are not among them: the program makes those up.
#[derive(Default)]
pub(super) struct SecretNames {
    secrets: Secrets,
    names: FastMap<Box<str>, bool>,
    /// Those of types, by whether the type wraps one value alone.
    types: [FastMap<Box<str>, bool>; 2],
}

impl SecretNames {
    /// Judges by these secrets from now on.
    pub fn renew(&mut self, secrets: &Secrets) {
        if self.secrets != *secrets {
            *self = SecretNames { secrets: secrets.clone(), ..SecretNames::default() };
        }
    }

    /// The same as [`Secrets::has`].
    pub fn has(&mut self, name: &str) -> bool {
        known(&mut self.names, name, |name| self.secrets.has(name))
    }

    /// The same as [`Secrets::has_type`].
    pub fn has_type(&mut self, name: &str, wraps_one: bool) -> bool {
        known(&mut self.types[usize::from(wraps_one)], name, |name| self.secrets.has_type(name, wraps_one))
    }
}

fn known(judged: &mut FastMap<Box<str>, bool>, name: &str, judge: impl FnOnce(&str) -> bool) -> bool {
    if let Some(known) = judged.get(name) {
        return *known;
    }
    let is_secret = judge(name);
    judged.insert(name.into(), is_secret);
    is_secret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_judged_by_the_secrets_of_now() {
        let mut names = SecretNames::default();
        for secrets in [Secrets::default(), Secrets::of("plan"), Secrets::default()] {
            names.renew(&secrets);
            for name in ["password", "plan", "count", "password", "plan"] {
                assert_eq!(names.has(name), secrets.has(name), "{name}");
                for wraps_one in [true, false] {
                    assert_eq!(names.has_type(name, wraps_one), secrets.has_type(name, wraps_one), "{name}");
                }
            }
        }
    }
}
