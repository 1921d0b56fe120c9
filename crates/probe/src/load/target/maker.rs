//! Inputs of a model from records of a data set.

use super::requests::{DataSet, Requests, of_data};
use super::tensor::{Slot, Tensor};
use super::{Asker, Found, TargetError, sent, values};
use crate::connector::Encoded;
use crate::data::{Kind, Record};
use crate::schema::BodyEncoding;
use serde_json::{Map, Value};

/// Requests of a model, and what they send.
pub(super) struct Made {
    pub(super) inputs: Vec<Slot>,
    /// Inferences of a request.
    pub(super) batch: i64,
    pub(super) requests: Requests,
}

impl Made {
    /// What was found out before the load: these requests, of a platform, in an encoding, for these outputs.
    pub(super) fn found(
        self,
        platform: String,
        encoding: BodyEncoding,
        outputs: Vec<Slot>,
    ) -> Found {
        let Self { inputs, batch, requests } = self;
        Found { platform, encoding, inputs, outputs, batch, requests, reader: None }
    }
}

/// Makes a request of its inputs.
pub(super) trait Encode:
    Fn(&[Tensor]) -> Result<Encoded, TargetError> + Send + Sync + 'static
{
}

impl<T: Fn(&[Tensor]) -> Result<Encoded, TargetError> + Send + Sync + 'static> Encode for T {}

impl Asker<'_> {
    /// Requests of the model, from its signature and what was said on the command line.
    pub(super) fn requests(
        &self,
        declared: &[Slot],
        outputs: &[Slot],
        encode: impl Encode,
    ) -> Result<Made, TargetError> {
        let slots = self.slots(declared)?;
        if let Some(set) = &self.options.data {
            return of_records(self, set, (&slots, outputs), encode);
        }
        let variant = |v: u64| -> Result<Vec<Tensor>, TargetError> {
            slots.iter().zip(1..).map(|(s, n)| self.tensor(s, v * 1000 + n)).collect()
        };
        let variants = 0..self.options.variants.max(1);
        let all = variants.map(variant).collect::<Result<Vec<_>, _>>()?;
        self.takes_batch(declared, outputs, &all[0])?;
        let encoded = all.iter().map(|tensors| encode(tensors)).collect::<Result<_, _>>()?;
        Ok(Made {
            inputs: sent(&all),
            batch: self.rows(declared, &all),
            requests: Requests::variants(encoded),
        })
    }
}

/// Where the contents of an input come from.
enum Fed {
    /// The same in all requests.
    Fixed(Tensor),
    /// The whole of a record.
    Record,
    /// A member of a record's object.
    Member,
}

struct Maker {
    inputs: Vec<(Slot, Fed)>,
}

/// Requests of records, of which each is one inference.
fn of_records(
    asker: &Asker<'_>,
    set: &DataSet,
    (slots, outputs): (&[Slot], &[Slot]),
    encode: impl Encode,
) -> Result<Made, TargetError> {
    let batch = asker.options.batch;
    let record = |at| set.records.record(at).map_err(|e| TargetError::new(e.message, e.hint));
    let maker = Maker::new(asker, set, slots, &record(0)?)?;
    let each = u64::try_from(batch).unwrap_or(1).max(1);
    let first = (0..each).map(|at| record(set.order.place(at, set.records.count())));
    let tensors = maker.tensors(&first.collect::<Result<Vec<_>, _>>()?)?;
    asker.takes_batch(slots, outputs, &tensors)?;
    let make = move |records: &[Record]| encode(&maker.tensors(records)?);
    Ok(Made { inputs: sent(&[tensors]), batch, requests: of_data(set, each, Box::new(make))? })
}

impl Maker {
    fn new(
        asker: &Asker<'_>,
        set: &DataSet,
        slots: &[Slot],
        first: &Record,
    ) -> Result<Self, TargetError> {
        let given = |slot: &Slot| asker.options.inputs.iter().any(|(name, _)| *name == slot.name);
        let members = if first.kind == Kind::Json { Some(object(first)?) } else { None };
        let fed: Vec<&str> = match &members {
            Some(members) => members.keys().map(String::as_str).collect(),
            None => vec![the_input(set, slots, given)?],
        };
        if let Some(strange) = fed.iter().find(|name| !slots.iter().any(|s| s.name == **name)) {
            return Err(no_input(strange, slots));
        }
        let feed = |(slot, salt): (&Slot, u64)| {
            let kind = match (fed.contains(&slot.name.as_str()), &members) {
                (true, Some(_)) => Fed::Member,
                (true, None) => Fed::Record,
                (false, Some(_)) if !given(slot) => {
                    return Err(TargetError::new(
                        format!("{} has no input `{}`", first.name, slot.name),
                        "add it to every record, or give it with --input",
                    ));
                }
                (false, _) => Fed::Fixed(asker.tensor(slot, salt)?),
            };
            Ok((slot.clone(), kind))
        };
        let inputs = slots.iter().zip(1..).map(feed).collect::<Result<_, _>>()?;
        Ok(Self { inputs })
    }

    /// The inputs of a request of these records.
    fn tensors(&self, records: &[Record]) -> Result<Vec<Tensor>, TargetError> {
        let member = |(_, fed): &(Slot, Fed)| matches!(fed, Fed::Member);
        let objects: Vec<(&Record, Map<String, Value>)> = if self.inputs.iter().any(member) {
            records.iter().map(|r| Ok((r, self.object(r)?))).collect::<Result<_, TargetError>>()?
        } else {
            Vec::new()
        };
        let tensor = |(slot, fed): &(Slot, Fed)| match fed {
            Fed::Fixed(tensor) => Ok(tensor.clone()),
            Fed::Record => {
                let part = |r: &Record| values::whole(slot, r).map_err(|what| wrong(r, &what));
                let parts = records.iter().map(part).collect::<Result<Vec<_>, _>>()?;
                values::stacked(parts).map_err(|what| wrong_of(records, &what))
            }
            Fed::Member => {
                let part = |(record, members): &(&Record, Map<String, Value>)| {
                    let missing = || wrong(record, &format!("has no input `{}`", slot.name));
                    let value = members.get(&slot.name).ok_or_else(missing)?;
                    values::json(slot, value).map_err(|what| wrong(record, &what))
                };
                let parts = objects.iter().map(part).collect::<Result<Vec<_>, _>>()?;
                values::stacked(parts).map_err(|what| wrong_of(records, &what))
            }
        };
        self.inputs.iter().map(tensor).collect()
    }

    /// The members of a record, all of them inputs.
    fn object(&self, record: &Record) -> Result<Map<String, Value>, TargetError> {
        let members = object(record)?;
        let known = |name: &&String| {
            self.inputs.iter().any(|(s, fed)| s.name == **name && matches!(fed, Fed::Member))
        };
        match members.keys().find(|name| !known(name)) {
            Some(name) => Err(wrong(record, &format!("has `{name}`, which the first has not"))),
            None => Ok(members),
        }
    }
}

fn object(record: &Record) -> Result<Map<String, Value>, TargetError> {
    if record.kind != Kind::Json {
        return Err(wrong(record, "is no JSON, as the first is"));
    }
    match serde_json::from_slice(&record.bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(wrong(record, "is no object with an entry for each input")),
        Err(error) => Err(wrong(record, &format!("is not JSON: {error}"))),
    }
}

fn wrong(record: &Record, what: &str) -> TargetError {
    TargetError::new(
        format!("{} of the data set {what}", record.name),
        "every record has the inputs of one inference; see docs/probing.md",
    )
}

fn wrong_of(records: &[Record], what: &str) -> TargetError {
    let name = records.last().map_or("a record", |r| r.name.as_str());
    TargetError::new(
        format!("{name} of the data set {what}"),
        "records of one batch have the same shape, with one row each",
    )
}

fn no_input(name: &str, slots: &[Slot]) -> TargetError {
    let names: Vec<&str> = slots.iter().map(|s| s.name.as_str()).collect();
    TargetError::new(
        format!("the model has no input `{name}`, which the data set gives"),
        format!("its inputs: {}", names.join(" ")),
    )
}

/// The input that whole files are: the one that is named, or the only one that --input does not give.
fn the_input<'a>(
    set: &'a DataSet,
    slots: &'a [Slot],
    given: impl Fn(&Slot) -> bool,
) -> Result<&'a str, TargetError> {
    if let Some(name) = &set.input {
        return Ok(name);
    }
    let mut left = slots.iter().filter(|slot| !given(slot));
    match (left.next(), left.next()) {
        (Some(slot), None) => Ok(&slot.name),
        _ => {
            let names: Vec<&str> = slots.iter().map(|s| s.name.as_str()).collect();
            Err(TargetError::new(
                "the model has several inputs, and a file of the data set is one of them",
                format!("say which: --data NAME=FOLDER; its inputs: {}", names.join(" ")),
            ))
        }
    }
}
