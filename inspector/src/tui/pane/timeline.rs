use super::App;
use crate::tui::keys::Action;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
/// s
#[derive(Clone, Debug, Default)]
pub struct State {}
/// u
pub fn update(_app: &mut App, _action: Action) {}
/// r
pub fn render(_buf: &mut Buffer, _app: &mut App, _area: Rect) {}
