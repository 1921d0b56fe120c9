//! Asking a server what it is before the load, and inputs made from what it says. Knows no protocol's messages.

use super::tensor::{self, Given, MOST_GENERATED, Slot, Tensor};
use super::{Options, TargetError, Url, explain, metadata, show, values};
use crate::connector::{Connector, Encoded};
use crate::grpc::Call;
use crate::record::Fault;
use bytes::Bytes;

/// What the modules of protocols use to ask the server.
pub(super) struct Asker<'a> {
    pub(super) url: &'a Url,
    pub(super) options: &'a Options,
    pub(super) connector: Connector,
}

impl<'a> Asker<'a> {
    /// Looks the server up.
    pub(super) fn new(url: &'a Url, options: &'a Options) -> Result<Self, TargetError> {
        let (transport, trust) = (url.protocol.transport(), &options.trust);
        let connector = Connector::new(url.endpoint(), transport, trust, options.largest)
            .and_then(|all| options.address.map_or(Ok(all.clone()), |ip| all.only(ip)))
            .map_err(|f| explain(url, &f))?
            .with_metadata(metadata(&options.headers)?);
        Ok(Self { url, options, connector })
    }

    /// A request of `path`, with the headers of the load.
    pub(super) fn page(&self, path: &str) -> Encoded {
        self.connector.get(path, &self.options.headers)
    }

    /// A GET of `path`; `None` when the server says that there is no such thing.
    pub(super) fn get(&self, path: &str) -> Result<Option<Bytes>, TargetError> {
        match self.connector.ask(&self.page(path), self.options.patience) {
            Ok(answer) => Ok(Some(answer.body)),
            Err((Fault::Http(404 | 405 | 501), _)) => Ok(None),
            Err(failure) => Err(explain(self.url, &failure)),
        }
    }

    /// A gRPC call with an answer of type `M`.
    pub(super) fn call<M: prost::Message + Default>(
        &self,
        call: Call,
    ) -> Result<Option<M>, TargetError> {
        match self.connector.ask(&Encoded::Grpc(call), self.options.patience) {
            Ok(answer) => M::decode(answer.body).map(Some).map_err(|e| {
                explain(
                    self.url,
                    &(Fault::Malformed, format!("not the message that was asked for: {e}")),
                )
            }),
            Err((Fault::Grpc(5 | 12), _)) => Ok(None),
            Err(failure) => Err(explain(self.url, &failure)),
        }
    }

    /// The model's inputs, as it declares them or as they were given.
    pub(super) fn slots(&self, declared: &[Slot]) -> Result<Vec<Slot>, TargetError> {
        let options = self.options;
        let mut slots = declared.to_vec();
        for (name, given) in &options.inputs {
            if !slots.is_empty() && !declared.iter().any(|s| s.name == *name) {
                let names: Vec<&str> = declared.iter().map(|s| s.name.as_str()).collect();
                return Err(TargetError::new(
                    format!("the model has no input `{name}`"),
                    format!("its inputs: {}", names.join(" ")),
                ));
            }
            if declared.is_empty() {
                let dtype = match given {
                    Given::Shape(dtype, _) => dtype.or(tensor::Dtype::find("FP32")),
                    Given::Contents(dtype, ..) => Some(*dtype),
                    Given::Text(_) => tensor::Dtype::find("BYTES"),
                };
                slots.extend(dtype.map(|dtype| Slot {
                    name: name.clone(),
                    dtype,
                    shape: Vec::new(),
                }));
            }
        }
        if slots.is_empty() {
            return Err(TargetError::new(
                "the server does not report the model's inputs",
                "name them: --input NAME=FP32:1x3x224x224",
            ));
        }
        Ok(slots)
    }

    /// Refuses a batch that the model does not take.
    pub(super) fn takes_batch(
        &self,
        declared: &[Slot],
        outputs: &[Slot],
        tensors: &[Tensor],
    ) -> Result<(), TargetError> {
        let batch = self.options.batch;
        if batch > 1 && !takes(batch, declared, outputs, tensors) {
            let shapes: Vec<String> =
                tensors.iter().map(|t| format!("`{}` {}", t.name, show(&t.shape))).collect();
            return Err(TargetError::new(
                format!("--batch {batch}: no input accepts {batch} rows: {}", shapes.join(", ")),
                "the batch goes into a dynamic first axis; a file of contents needs as many rows",
            ));
        }
        Ok(())
    }

    /// The rows of a request: the batch, or where none is asked for, those of the inputs that leave their
    /// first axis open, if they have the same.
    pub(super) fn rows(&self, declared: &[Slot], tensors: &[Vec<Tensor>]) -> i64 {
        let open = |t: &&Tensor| {
            let slot = declared.iter().find(|s| s.name == t.name);
            slot.and_then(|s| s.shape.first()).is_some_and(|d| *d < 0)
        };
        let mut rows =
            tensors.iter().flatten().filter(open).filter_map(|t| t.shape.first().copied());
        let first = rows.next().filter(|_| self.options.batch == 1);
        first.filter(|n| rows.all(|other| other == *n)).unwrap_or(self.options.batch)
    }

    /// The contents of an input that no data set gives.
    pub(super) fn tensor(&self, slot: &Slot, salt: u64) -> Result<Tensor, TargetError> {
        let given = self.options.inputs.iter().find(|(n, _)| *n == slot.name).map(|(_, g)| g);
        let shape = match given {
            Some(Given::Contents(dtype, shape, data)) => {
                if *dtype != slot.dtype {
                    return Err(TargetError::new(
                        format!(
                            "input `{}` takes {}, the file has {}",
                            slot.name,
                            slot.dtype.name(),
                            dtype.name()
                        ),
                        "convert the file with numpy's astype",
                    ));
                }
                return Ok(Tensor {
                    name: slot.name.clone(),
                    dtype: *dtype,
                    shape: shape.clone(),
                    data: data.clone(),
                });
            }
            Some(Given::Text(text)) => return self.text(slot, text),
            Some(Given::Shape(_, shape)) => shape.clone(),
            None => slot.shape.clone(),
        };
        let mut sized = shape.clone();
        // One row that is given stands for as many as the batch has, where the model does not forbid it.
        let open = slot.shape.first().is_none_or(|d| *d < 0);
        if let Some(first) = sized.first_mut().filter(|d| **d < 0 || **d == 1 && open) {
            *first = self.options.batch;
        }
        if sized.iter().any(|d| *d < 0) {
            return Err(TargetError::new(
                format!("input `{}` has open sizes: {}", slot.name, show(&shape)),
                format!(
                    "give them: --input {}={}",
                    slot.name,
                    show(&sized.iter().map(|d| if *d < 0 { 128 } else { *d }).collect::<Vec<_>>())
                ),
            ));
        }
        let too_large = || {
            TargetError::new(
                format!(
                    "input `{}` of {} is larger than {} MiB, the most that is generated",
                    slot.name,
                    show(&sized),
                    MOST_GENERATED >> 20
                ),
                "give smaller sizes with --input, or contents with --input NAME=file.npy",
            )
        };
        Tensor::random(slot, sized.clone(), self.options.seed ^ (salt << 32)).ok_or_else(too_large)
    }
}

impl Asker<'_> {
    /// A text as an input, once for each row of the batch.
    fn text(&self, slot: &Slot, text: &str) -> Result<Tensor, TargetError> {
        let wrong = |what: String| {
            TargetError::new(
                format!("the text of input `{}` {what}", slot.name),
                "a text is one string; --data FILE.jsonl gives nested arrays of them",
            )
        };
        if slot.dtype.width().is_some() {
            return Err(wrong(format!("is none of {}, which it takes", slot.dtype.name())));
        }
        let one = values::text(slot, text.as_bytes()).map_err(wrong)?;
        let open = slot.shape.first().is_none_or(|d| *d < 0);
        let rows = usize::try_from(self.options.batch).unwrap_or(1);
        if rows < 2 || !open || one.shape.is_empty() {
            return Ok(one);
        }
        values::stacked(vec![one; rows]).map_err(wrong)
    }
}

/// Whether a request of `tensors` is a batch of so many rows: some input leaves its first axis open, and has them
/// there; or every input and output of the model has them fixed, as that of an export at one batch; or the server
/// declares nothing, and they are given.
fn takes(batch: i64, declared: &[Slot], outputs: &[Slot], tensors: &[Tensor]) -> bool {
    let first = |slot: &Slot| slot.shape.first().copied();
    let slot = |t: &Tensor| declared.iter().find(|s| s.name == t.name);
    let open = |t: &Tensor| slot(t).is_none_or(|s| first(s).is_none_or(|d| d < 0));
    if tensors.iter().any(|t| open(t) && t.shape.first() == Some(&batch)) {
        return true;
    }
    let fixed = |slot: &Slot| first(slot).is_none_or(|d| d == batch || d < 0);
    declared.iter().any(|s| first(s) == Some(batch))
        && declared.iter().chain(outputs).all(fixed)
        && outputs.iter().any(|s| first(s) == Some(batch))
}
