//! AMD GPUs under load.

use super::log::{Column, Role, Show};
use super::{Found, Meter, Row, Setup, sensors};
use crate::schema::MeterUnit;
use rooflens_ground::os::amd::{Board, boards};
use rooflens_ground::os::tree::Tree;

/// The readings of all boards.
struct Gpus {
    tree: Tree,
    boards: Vec<Board>,
}

/// AMD's GPUs of this machine; one without any is not told so.
pub(super) fn open(setup: &Setup) -> Found {
    let mut boards = boards(&setup.sys);
    boards.retain(|b| setup.gpus.is_empty() || setup.gpus.contains(&b.index));
    if boards.is_empty() {
        return Found::default();
    }
    Found::meter(Gpus { tree: setup.sys.clone(), boards })
}

/// Whether this machine has AMD's GPUs.
pub(super) fn any(tree: &Tree) -> bool {
    !boards(tree).is_empty()
}

impl Meter for Gpus {
    fn columns(&self) -> Vec<Column> {
        self.boards.iter().flat_map(|b| board(b, b.memory_total(&self.tree))).collect()
    }

    fn read(&mut self, row: &mut Row<'_>) {
        for board in &mut self.boards {
            let state = board.read(&self.tree);
            row.take(state.busy);
            row.take(state.memory);
            row.take(state.clock);
            if let Some(watts) = state.watts {
                row.take(watts);
            }
        }
    }
}

/// The columns of a board, in the order in which it is read.
fn board(board: &Board, memory: Option<f64>) -> Vec<Column> {
    let called = format!("AMD GPU {}", board.index);
    let place = match board.with_processor {
        Some(true) => "in the processor's package, in the machine's memory",
        Some(false) => "a card",
        None => "a card, or in the processor's package: the driver does not say",
    };
    let column = |what: &str, unit, show, note: String| Column {
        show,
        note,
        ..Column::new(&format!("{called} {what}"), unit)
    };
    let busy = format!("{}, {place}; {}", board.name, board.path());
    let mut all = vec![
        Column {
            role: Role::Busy,
            of: Some(1.0),
            ..column("busy", MeterUnit::Share, Show::Mean, busy)
        },
        Column {
            of: memory,
            ..column("memory", MeterUnit::Bytes, Show::Peak, "peak, of all processes".into())
        },
        column("clock", MeterUnit::Hertz, Show::Mean, "compute units".into()),
    ];
    if let Some(sensor) = &board.power {
        let whole =
            if board.with_processor == Some(false) { "the card" } else { "processor and GPU" };
        let note = format!("{whole}, as the driver says ({}), {}", sensor.name, sensor.path());
        all.push(sensors::column(&format!("{called} power"), sensor, note));
    }
    all
}
