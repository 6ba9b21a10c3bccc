//! When the log is copied into the database. Most of it is copied aside, while commits go on; the writer itself only
//! copies the rest, so that the log can begin anew and does not grow without end.

use super::database::PAGE;

/// Bytes in the log at which copying begins. Estimated, as all numbers here.
const BEGIN: u64 = 6 << 20;
/// What the writer copies itself: a few milliseconds.
const REST: u64 = 1 << 20;
/// So often the log is copied aside in a row; if commits come faster than that, the writer copies the rest, however much.
const ASIDE: u32 = 3;
/// A page of the database and its header in the log.
const FRAME: u64 = PAGE + 24;

/// What there is to do about the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// Copy it on another thread, then report by [`Log::copied_aside`].
    CopyAside,
    /// Copy the rest before the next commit, then report by [`Log::copied`].
    CopyNow,
}

/// How much of the log is not yet in the database.
#[derive(Default)]
pub struct Log {
    /// Written since the log began anew.
    length: u64,
    /// Written since copying aside began.
    since: u64,
    /// Times that it was copied aside in a row, and whether it is now.
    aside: u32,
    copying: bool,
    /// A reader holds an old state: until the log has grown to this length nothing more can be copied.
    held_until: u64,
}

impl Log {
    /// Notes a transaction that changed `entries` with so many bytes of keys and values.
    pub fn grew(&mut self, entries: usize, bytes: usize) {
        // A page for each entry's place in a tree, and a few for the trees' roots and the revision.
        let pages = entries as u64 + 3 + bytes as u64 / PAGE;
        self.length += pages * FRAME;
        self.since += pages * FRAME;
    }

    /// What to do after a transaction.
    pub fn step(&mut self) -> Step {
        if self.copying || self.length < BEGIN.max(self.held_until) {
            return Step::Nothing;
        }
        self.copying = true;
        self.aside = 1;
        self.since = 0;
        Step::CopyAside
    }

    /// Copying aside has ended; `wholly` if it came to the end that the log had when it began.
    pub fn copied_aside(&mut self, wholly: bool) -> Step {
        self.copying = false;
        if !wholly {
            self.held_until = self.length + BEGIN;
            return Step::Nothing;
        }
        if self.since > REST && self.aside < ASIDE {
            self.copying = true;
            self.aside += 1;
            self.since = 0;
            return Step::CopyAside;
        }
        Step::CopyNow
    }

    /// The writer has copied the rest, `wholly` or as far as readers let it.
    pub fn copied(&mut self, wholly: bool) {
        if wholly {
            *self = Self::default();
        } else {
            self.held_until = self.length + BEGIN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(log: &mut Log, bytes: u64) {
        let pages = bytes.div_ceil(FRAME) as usize;
        log.grew(pages, 0);
    }

    #[test]
    fn a_quiet_log_is_copied_once_aside_and_its_rest_at_once() {
        let mut log = Log::default();
        grown(&mut log, BEGIN / 2);
        assert_eq!(log.step(), Step::Nothing);
        grown(&mut log, BEGIN / 2);
        assert_eq!(log.step(), Step::CopyAside);
        assert_eq!(log.step(), Step::Nothing);
        assert_eq!(log.copied_aside(true), Step::CopyNow);
        log.copied(true);
        assert_eq!(log.step(), Step::Nothing);
    }

    #[test]
    fn under_load_the_writer_comes_in_after_a_few_rounds() {
        let mut log = Log::default();
        grown(&mut log, BEGIN);
        assert_eq!(log.step(), Step::CopyAside);
        for _ in 1..ASIDE {
            grown(&mut log, 2 * REST);
            assert_eq!(log.copied_aside(true), Step::CopyAside);
        }
        grown(&mut log, 2 * REST);
        assert_eq!(log.copied_aside(true), Step::CopyNow);
    }

    #[test]
    fn a_reader_that_holds_the_log_is_not_fought() {
        let mut log = Log::default();
        grown(&mut log, BEGIN);
        assert_eq!(log.step(), Step::CopyAside);
        assert_eq!(log.copied_aside(false), Step::Nothing);
        assert_eq!(log.step(), Step::Nothing);
        grown(&mut log, BEGIN);
        assert_eq!(log.step(), Step::CopyAside);
    }
}
