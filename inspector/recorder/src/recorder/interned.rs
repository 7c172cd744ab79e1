//! Names and places, interned once.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::atomic::Ordering;

use tinyio_events::event::{CoroId, Kind, NameId, SiteId};
use tinyio_events::place::is_library;
use tinyio_events::ring_words::{self, code};
use tinyio_events::secrets;
use tinyio_events::string_table;

use super::Recorder;
use crate::ring;

/// Slots of the caches by address. A program has hundreds of places at most, of which few are hot.
const CACHE: usize = 256;

#[derive(Debug)]
pub(super) struct Names {
    /// Words of the table in use.
    used: usize,
    names: u32,
    sites: u32,
    by_text: HashMap<String, NameId>,
    by_place: HashMap<(String, u32, u32), SiteId>,
    name_cache: Box<[(usize, usize, NameId); CACHE]>,
    site_cache: Box<[(usize, SiteId); CACHE]>,
    full: bool,
}

#[inline(always)]
fn cache_slot(address: usize) -> usize {
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize) >> 40) & (CACHE - 1)
}

impl Default for Names {
    fn default() -> Names {
        Names {
            used: 0,
            names: 0,
            sites: 0,
            by_text: HashMap::new(),
            by_place: HashMap::new(),
            name_cache: Box::new([(0, 0, 0); CACHE]),
            site_cache: Box::new([(0, 0); CACHE]),
            full: false,
        }
    }
}

impl Recorder {
    /// The number of a name; the first time, it is recorded. 0 when the table of names is full.
    #[inline]
    pub fn name(&mut self, text: &'static str) -> NameId {
        self.name_of(text, |text| text)
    }

    /// The number of the name that `text` stands for, which `name` makes of it, always the same.
    #[inline]
    pub fn name_of(&mut self, text: &'static str, name: impl FnOnce(&'static str) -> &'static str) -> NameId {
        let address = text.as_ptr() as usize;
        let (cached, len, id) = self.names.name_cache[cache_slot(address)];
        if cached == address && len == text.len() {
            return id;
        }
        let id = self.intern(name(text));
        self.names.name_cache[cache_slot(address)] = (address, text.len(), id);
        id
    }

    /// The number of a name made at run time.
    pub fn intern(&mut self, text: &str) -> NameId {
        let text = secrets::mask_urls(text);
        let text = string_table::cut(&text, string_table::LIMIT);
        if let Some(id) = self.names.by_text.get(&*text) {
            return *id;
        }
        let id = self.names.names + 1;
        if !self.add(&Kind::Name { id, text: text.clone().into_owned() }) {
            return 0;
        }
        self.names.names = id;
        self.names.by_text.insert(text.into_owned(), id);
        id
    }

    /// The names that the program gave to living coroutines: to this one, or to all.
    pub fn given_names(&self, only: Option<CoroId>) -> HashMap<CoroId, String> {
        let given: Vec<(CoroId, NameId)> = self.live.objects.given_names(only).collect();
        if given.is_empty() {
            return HashMap::new();
        }
        let texts: HashMap<NameId, &str> = self.names.by_text.iter().map(|(text, id)| (*id, text.as_str())).collect();
        given.into_iter().filter_map(|(coro, id)| Some((coro, (*texts.get(&id)?).to_owned()))).collect()
    }

    /// The number of a source place; 0 for a line of the standard library: there it is a call through a pointer to a
    /// function, such as by `.map(tinyio::spawn)`, and no place of the program.
    #[inline]
    pub fn site(&mut self, place: &'static Location<'static>) -> SiteId {
        let address = std::ptr::from_ref(place) as usize;
        let (cached, id) = self.names.site_cache[cache_slot(address)];
        if cached == address {
            return id;
        }
        let id = match is_library(place.file()) {
            true => 0,
            false => self.intern_site(place.file(), place.line(), place.column()),
        };
        self.names.site_cache[cache_slot(address)] = (address, id);
        id
    }

    /// The number of a source place from elsewhere.
    pub fn intern_site(&mut self, file: &str, line: u32, column: u32) -> SiteId {
        let file = string_table::cut(file, string_table::LIMIT);
        let key = (file.into_owned(), line, column);
        if let Some(id) = self.names.by_place.get(&key) {
            return *id;
        }
        let id = self.names.sites + 1;
        if !self.add(&Kind::Site { id, file: key.0.clone(), line, column }) {
            return 0;
        }
        self.names.sites = id;
        self.names.by_place.insert(key, id);
        id
    }

    /// Appends to the table, and records that.
    #[cold]
    fn add(&mut self, kind: &Kind) -> bool {
        // That of the event before: the one that needs the name has a time that was read before now.
        let at = match self.head {
            0 => self.clock.now(),
            head => ring_words::time(self.ring.get(head - 1)),
        };
        if !self.check_pid() {
            return false;
        }
        if let Some(words) = string_table::write(self.ring.names(), self.names.used, kind) {
            let place = self.names.used as u64;
            self.names.used += words;
            self.ring.word(ring::W_NAMED).store(self.names.used as u64, Ordering::Release);
            self.put(at, [ring_words::head(at, code::NAME), place, 0, 0]);
            return true;
        }
        self.ring.word(ring::W_UNNAMED).fetch_add(1, Ordering::Relaxed);
        if !self.names.full {
            self.names.full = true;
            let text =
                "the table of names is full: later names are unknown; set TINYIO_RING to more, or use fewer names";
            self.emit(at, Kind::Diag { coro: 0, text: text.into() });
        }
        false
    }
}
