//! Distributions of times: how long steps take, and how long a ready coroutine waits for its next step.
//!
//! A library would keep some kilobytes for each distribution (`hdrhistogram`: its counts are one array from the least
//! to the greatest time). There are two for each coroutine, most of which have few steps of similar length, so only the
//! buckets that are in use are kept here: eight bytes each, and at most [`BUCKETS`] of them.

/// Buckets per power of two, as a power of two: a bucket is as wide as an eighth of its least time.
const BITS: u32 = 3;
/// How many buckets there are for all times.
const BUCKETS: usize = ((64 - BITS as usize) << BITS) + (1 << BITS);

/// A distribution of times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// The buckets in use with their counts, in order.
    counts: Vec<(u16, u32)>,
    max: u64,
    left_out: u64,
}

impl Distribution {
    /// Counts a time; `None`, of which begin or end is not known, is counted as left out.
    pub(super) fn add(&mut self, nanos: Option<u64>) {
        let Some(nanos) = nanos else {
            self.left_out = self.left_out.saturating_add(1);
            return;
        };
        self.max = self.max.max(nanos);
        let bucket = bucket(nanos);
        debug_assert!(usize::from(bucket) < BUCKETS, "{bucket}");
        match self.counts.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(1),
            Err(at) => {
                // Of very many coroutines each has few.
                if self.counts.len() < 4 {
                    self.counts.reserve_exact(1);
                }
                self.counts.insert(at, (bucket, 1));
            }
        }
    }

    /// How many times were counted.
    pub fn len(&self) -> u64 {
        self.counts.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many were not counted, because their begin or end is not in the record.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The longest, exactly.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// A time that at least so many per cent of them do not exceed: the upper bound of the bucket of the least such
    /// time, which is at most an eighth greater, and never greater than the longest. `None` of an empty one.
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let rank = (u128::from(self.len()) * u128::from(percent)).div_ceil(100).max(1) as u64;
        let mut below = 0;
        let reached = self.counts.iter().find(|(_, count)| {
            below += u64::from(*count);
            below >= rank
        });
        reached.map(|(bucket, _)| upper(*bucket).min(self.max))
    }

    /// The histogram: for each power of two from the first to the last in use, its least time and how many times are in
    /// it. The first one is from 0 on.
    pub fn octaves(&self) -> Vec<(u64, u64)> {
        let octave = |bucket: u16| u32::from(bucket) >> BITS;
        let (Some(first), Some(last)) = (self.counts.first(), self.counts.last()) else { return Vec::new() };
        let mut octaves: Vec<(u64, u64)> =
            (octave(first.0)..=octave(last.0)).map(|octave| (least((octave << BITS) as u16), 0)).collect();
        for (bucket, count) in &self.counts {
            octaves[(octave(*bucket) - octave(first.0)) as usize].1 += u64::from(*count);
        }
        octaves
    }
}

/// The bucket of a time.
fn bucket(nanos: u64) -> u16 {
    let magnitude = u64::BITS - nanos.leading_zeros();
    match magnitude.checked_sub(BITS + 1) {
        None => nanos as u16,
        Some(shift) => (((shift as u16) << BITS) + (1 << BITS)) | ((nanos >> shift) as u16 & ((1 << BITS) - 1)),
    }
}

/// The least time of a bucket.
fn least(bucket: u16) -> u64 {
    match (bucket >> BITS).checked_sub(1) {
        None => u64::from(bucket),
        Some(shift) => u64::from((1 << BITS) | (bucket & ((1 << BITS) - 1))) << shift,
    }
}

/// The greatest time of a bucket.
fn upper(bucket: u16) -> u64 {
    let width = (bucket >> BITS).checked_sub(1).map_or(1, |shift| 1_u64 << shift);
    least(bucket) + (width - 1)
}

/// The times of a coroutine, or of all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Of steps that have ended: from begin to end, without time that was not the program's as far as that was recorded
    /// ([`Kind::Away`](tinyio_events::event::Kind::Away)). Left out are those of which the begin is not known.
    pub steps: Distribution,
    /// From when a coroutine became ready (it was scheduled or woken; if it was woken in a step of its own, from the
    /// end of that) to the begin of its next step. Left out are those of which it is not known when it became ready.
    pub delays: Distribution,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_gapless_and_at_most_an_eighth_wide() {
        assert_eq!((bucket(0), bucket(7), bucket(8), bucket(15), bucket(16)), (0, 7, 8, 15, 16));
        for bucket in 0..BUCKETS as u16 - 1 {
            assert_eq!(upper(bucket) + 1, least(bucket + 1), "{bucket}");
        }
        assert_eq!((usize::from(bucket(u64::MAX)), upper(bucket(u64::MAX))), (BUCKETS - 1, u64::MAX));
        for nanos in (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) + (1 << bit) / 3, u64::MAX >> bit]) {
            let bucket = bucket(nanos);
            assert!(least(bucket) <= nanos && nanos <= upper(bucket), "{nanos}");
            assert!(upper(bucket) - least(bucket) <= least(bucket) / 8, "{nanos}");
        }
    }

    #[test]
    fn percentiles_are_upper_bounds_and_the_longest_is_exact() {
        let mut all = Distribution::default();
        assert_eq!((all.percentile(50), all.max(), all.octaves()), (None, 0, vec![]));
        for nanos in 1..=1_000 {
            all.add(Some(nanos));
        }
        all.add(None);
        assert_eq!((all.len(), all.left_out(), all.max()), (1_000, 1, 1_000));
        for (percent, exact) in [(1, 10), (50, 500), (99, 990), (100, 1_000)] {
            let shown = all.percentile(percent).unwrap();
            assert!((exact..=exact + exact / 8).contains(&shown), "{percent}: {shown}");
        }
        let octaves = all.octaves();
        assert_eq!(octaves[..3], [(0, 7), (8, 8), (16, 16)]);
        assert_eq!(octaves.last(), Some(&(512, 489)));
        assert_eq!(octaves.iter().map(|(_, count)| count).sum::<u64>(), 1_000);
        let mut one = Distribution::default();
        one.add(Some(1_000_001));
        assert_eq!((one.percentile(50), one.percentile(99)), (Some(1_000_001), Some(1_000_001)));
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut all = Distribution::default();
        let mut seed = 1_u64;
        for _ in 0..200_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            all.add(Some(seed >> (seed % 64)));
        }
        assert!(all.counts.len() <= BUCKETS, "{}", all.counts.len());
        assert_eq!(all.len(), 200_000);
    }
}
