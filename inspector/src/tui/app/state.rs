//! The state of the screens: the current screen, page and row.

use crate::event::{CoroId, ResId, Stack, ThreadId};
use crate::model::Model;
use crate::tui::post_mortem::PostMortem;
use crate::tui::tree_view::{Folds, Node};

/// A moment that is not now.
pub(super) struct Past {
    /// Where on the tape.
    pub position: u64,
    /// The time asked for; that of the latest event before it is earlier or the same.
    pub time: Option<u64>,
    /// The model of that moment.
    pub model: Model,
}

/// The status of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The program lives.
    Live,
    /// The last event has been read.
    Ended,
    /// The program is gone, or the file was cut.
    Died,
    /// It cannot be read on.
    Broken(String),
}

/// An await stack that was read in the program's memory while its loop was stuck.
pub(in crate::tui) struct Outside {
    /// The coroutine.
    pub coro: CoroId,
    /// When it was read, in the stream's time, and after how many events: it is valid until the next event.
    pub at: u64,
    pub events: u64,
    /// The stack, or why it cannot be read.
    pub stack: Result<Stack, String>,
}

/// A screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Screen {
    Graph,
    Coroutines,
    Threads,
    Resources,
    Timeline,
    Log,
    Crash,
}

impl Screen {
    /// All of them, in the order of their digits.
    pub const ALL: [Screen; 7] = [
        Screen::Graph,
        Screen::Coroutines,
        Screen::Threads,
        Screen::Resources,
        Screen::Timeline,
        Screen::Log,
        Screen::Crash,
    ];

    /// Its name.
    pub fn title(self) -> &'static str {
        match self {
            Screen::Graph => "Graph",
            Screen::Coroutines => "Coroutines",
            Screen::Threads => "Threads",
            Screen::Resources => "Resources",
            Screen::Timeline => "Timeline",
            Screen::Log => "Log",
            Screen::Crash => "Crash",
        }
    }
}

/// The graph's state.
#[derive(Clone, Debug, Default)]
pub struct GraphState {
    /// The selected row.
    pub cursor: Option<Node>,
    /// How many rows below the top it is drawn.
    pub row: u16,
    /// What is folded.
    pub folds: Folds,
    /// The neighbourhood is drawn in place of the tree.
    pub drawn: bool,
    /// The rows last drawn: if the selected one goes, its neighbour is taken.
    pub shown: Vec<Node>,
    /// Width of the column of names: it only grows, so that nothing jumps.
    pub name_width: u16,
}

/// The post-mortem's state.
#[derive(Clone, Debug)]
pub struct CrashState {
    /// The callstacks.
    pub data: PostMortem,
    /// The selected callstack.
    pub stack: usize,
    /// The selected frame in it.
    pub frame: usize,
    /// Whether hidden frames are shown.
    pub hidden: bool,
}

/// A page over the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// What it shows.
    pub what: PageKind,
    /// The first line shown.
    pub scroll: usize,
    /// The first column shown.
    pub left: u16,
}

impl Page {
    /// A page that shows its content from the beginning.
    pub fn new(what: PageKind) -> Page {
        Page { what, scroll: 0, left: 0 }
    }
}

/// What a page shows.
#[derive(Clone, Debug, PartialEq)]
pub enum PageKind {
    /// The keys.
    Help,
    /// All about a coroutine.
    Detail(CoroId),
    /// Why it is waiting.
    Why(CoroId),
    /// Its variables, in full.
    Values(CoroId),
    /// The lints.
    Lints,
    /// The stack tree of the post-mortem.
    Stacks,
    /// Source: of a whole file, or of the function.
    Source {
        /// The whole file.
        whole: bool,
    },
    /// Values that were printed, the latest last.
    Printed(Vec<(String, Result<crate::event::Value, String>, bool)>),
}

/// What the mouse can hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// A tab.
    Tab(Screen),
    /// A row of the graph.
    Node(Node),
    /// A coroutine.
    Coro(CoroId),
    /// A thread.
    Thread(ThreadId),
    /// A resource.
    Resource(ResId),
    /// A callstack.
    Stack(usize),
    /// A frame of the selected callstack.
    Frame(usize),
    /// A moment on the timeline.
    Moment(u64),
}

/// What has to happen outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Leave.
    Quit,
    /// Leave, and interrupt the program.
    Interrupt,
    /// To the background.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Open the editor.
    Edit {
        /// The file.
        file: std::path::PathBuf,
        /// The line.
        line: u32,
    },
}
