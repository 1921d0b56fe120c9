//! Copies and matrix products of cuBLASLt, timed. Libraries of CUDA are loaded when asked.
//!
//! Times are of the host, from before the first launch to after the last has ended; each repeat is
//! long enough that launching does not show. Products are `Aᵀ·B`, columns one after another: the
//! one form in which all types are supported.
#![allow(unsafe_code)]

mod number;

use super::{Gpu, GpuError, GpuProduct, GpuState, GpuSurvey};
use crate::host::SurveyPlan;
use crate::host::figure::Figure;
use crate::os::nvml::Driver;
use cudarc::cublaslt::{result as lt, sys};
use cudarc::driver::sys::CUdevice_attribute as Attribute;
use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtr, DevicePtrMut};
use number::{BF16, F8, F16, F32, I8, I32, Number};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Cuda<T> = Result<T, GpuError>;

fn fail(e: impl std::fmt::Debug) -> GpuError {
    GpuError::Cuda(format!("{e:?}"))
}

/// A product's types.
struct Kind {
    dtype: &'static str,
    accumulate: &'static str,
    factor: (Number, sys::cudaDataType),
    result: (Number, sys::cudaDataType),
    compute: sys::cublasComputeType_t,
    scale: sys::cudaDataType,
    /// Bits of mantissa that the sums are sure to keep.
    kept: i32,
}

const KINDS: &[Kind] = {
    use sys::cublasComputeType_t::{
        CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_COMPUTE_32I,
    };
    use sys::cudaDataType_t::{
        CUDA_R_8F_E4M3, CUDA_R_8I, CUDA_R_16BF, CUDA_R_16F, CUDA_R_32F, CUDA_R_32I,
    };
    let f32 = Kind {
        dtype: "f32",
        accumulate: "f32",
        factor: (F32, CUDA_R_32F),
        result: (F32, CUDA_R_32F),
        compute: CUBLAS_COMPUTE_32F,
        scale: CUDA_R_32F,
        kept: 18,
    };
    &[
        Kind { dtype: "tf32", compute: CUBLAS_COMPUTE_32F_FAST_TF32, kept: 9, ..f32 },
        Kind { dtype: "f16", factor: (F16, CUDA_R_16F), result: (F16, CUDA_R_16F), ..f32 },
        Kind { dtype: "bf16", factor: (BF16, CUDA_R_16BF), result: (BF16, CUDA_R_16BF), ..f32 },
        // Hopper sums products of 8-bit floats with about 14 bits.
        Kind {
            dtype: "f8",
            factor: (F8, CUDA_R_8F_E4M3),
            result: (BF16, CUDA_R_16BF),
            kept: 9,
            ..f32
        },
        Kind {
            dtype: "i8",
            accumulate: "i32",
            factor: (I8, CUDA_R_8I),
            result: (I32, CUDA_R_32I),
            compute: CUBLAS_COMPUTE_32I,
            scale: CUDA_R_32I,
            ..f32
        },
        f32,
    ]
};

/// Every GPU that CUDA shows to this process, measured.
pub(super) fn surveys(plan: &SurveyPlan, progress: &mut dyn FnMut(f64)) -> Cuda<Vec<GpuSurvey>> {
    let known = super::gpus()?;
    // SAFETY: loads a library of the system and runs its initialisers.
    if !unsafe { cudarc::driver::sys::is_culib_present() } {
        return Err(GpuError::Cuda("the driver's library `cuda` is not found".into()));
    }
    // The bindings panic where a library lacks a function.
    let all = catch_unwind(AssertUnwindSafe(|| {
        let count = CudaContext::device_count().map_err(fail)?;
        let each = |ordinal: i32| {
            let share = |x: f64| (f64::from(ordinal) + x) / f64::from(count);
            survey(ordinal.unsigned_abs() as usize, &known, plan, &mut |x| progress(share(x)))
        };
        (0..count).map(each).collect()
    }));
    all.unwrap_or_else(|_| Err(GpuError::Cuda("a library of CUDA lacks a function".into())))
}

fn survey(
    ordinal: usize,
    known: &[Gpu],
    plan: &SurveyPlan,
    progress: &mut dyn FnMut(f64),
) -> Cuda<GpuSurvey> {
    let context = CudaContext::new(ordinal).map_err(fail)?;
    let stream = context.new_stream().map_err(fail)?;
    let uuid = unique_name(&context.uuid().map_err(fail)?.bytes.map(i8::cast_unsigned));
    let gpu = known.iter().find(|g| g.uuid.as_deref() == Some(&uuid)).cloned();
    let gpu = gpu.ok_or_else(|| GpuError::Cuda(format!("{uuid} is no whole GPU")))?;
    let before = now(&gpu);
    let units = context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    let mut s = GpuSurvey {
        gpu: gpu.clone(),
        multiprocessors: units.ok().and_then(|n| n.try_into().ok()),
        products: Vec::new(),
        copy: None,
        to_device: None,
        from_device: None,
        launches: None,
        before,
        loaded: GpuState::default(),
        absent: Vec::new(),
        doubts: Vec::new(),
    };
    let (free, _) = context.mem_get_info().map_err(fail)?;
    let timer = Timer { stream: stream.clone(), slice: plan.slice, repeats: plan.repeats };
    if let Err(e) = copies(&timer, &context, free, &mut s) {
        s.absent.push(format!("copies: {e}"));
    }
    // SAFETY: as in `surveys`.
    if unsafe { sys::is_culib_present() } {
        let fits = |n: &usize| 12 * n * n <= free / 2;
        match [8192, 4096, 2048].into_iter().find(fits) {
            Some(size) => products(&timer, size, &gpu, &mut s, progress),
            None => s.absent.push("products: too little memory is free".into()),
        }
    } else {
        s.absent.push(
            "products: the library `cublasLt` is not found; LD_LIBRARY_PATH names its folder"
                .into(),
        );
    }
    Ok(s)
}

/// The state of a GPU; empty where the driver does not answer.
fn now(gpu: &Gpu) -> GpuState {
    let state = Driver::open().map(|d| d.state(gpu.index)).unwrap_or_default();
    let slowed_by = state.slowed_by.unwrap_or_default();
    GpuState {
        clock_mhz: state.clock_mhz,
        memory_clock_mhz: state.memory_clock_mhz,
        temperature_c: state.temperature_c,
        power_w: state.power_w,
        busy_percent: state.busy_percent,
        slowed_by: slowed_by.iter().map(|s| s.name).collect(),
    }
}

/// The name under which the management library knows a GPU.
fn unique_name(bytes: &[u8; 16]) -> String {
    let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let part = |range: std::ops::Range<usize>| hex[range].concat();
    format!("GPU-{}-{}-{}-{}-{}", part(0..4), part(4..6), part(6..8), part(8..10), part(10..16))
}

struct Timer {
    stream: Arc<CudaStream>,
    slice: Duration,
    repeats: usize,
}

impl Timer {
    /// Runs of `work` a second times `amount`. The first slice warms up and does not count.
    fn rate(&self, amount: f64, mut work: impl FnMut() -> Cuda<()>) -> Cuda<Figure> {
        let mut take = |times: u32| -> Cuda<f64> {
            let start = Instant::now();
            for _ in 0..times {
                work()?;
            }
            self.stream.synchronize().map_err(fail)?;
            Ok(start.elapsed().as_secs_f64().max(1e-9))
        };
        let slice = self.slice.as_secs_f64();
        let (mut times, mut time) = (1, take(1)?);
        while time < slice && times < 1 << 20 {
            times *= 2;
            time = take(times)?;
        }
        let samples = (0..self.repeats).map(|_| Ok(amount * f64::from(times) / take(times)?));
        samples.collect::<Cuda<Vec<f64>>>().map(Figure::of)
    }
}

fn copies(timer: &Timer, context: &Arc<CudaContext>, free: usize, s: &mut GpuSurvey) -> Cuda<()> {
    let stream = &timer.stream;
    let bytes = (1 << 30).min(free / 4);
    let from = stream.alloc_zeros::<u8>(bytes).map_err(fail)?;
    let mut to = stream.alloc_zeros::<u8>(bytes).map_err(fail)?;
    let copy = || stream.memcpy_dtod(&from, &mut to).map_err(fail);
    s.copy = Some(timer.rate(2.0 * bytes as f64, copy)?);
    let bytes = bytes.min(256 << 20);
    let mut part = stream.alloc_zeros::<u8>(bytes).map_err(fail)?;
    // SAFETY: bytes of any value are bytes; what is copied is not looked at.
    let mut host = unsafe { context.alloc_pinned_with_flags::<u8>(bytes, 0) }.map_err(fail)?;
    let amount = bytes as f64;
    s.from_device =
        Some(timer.rate(amount, || stream.memcpy_dtoh(&part, &mut host).map_err(fail))?);
    s.to_device = Some(timer.rate(amount, || stream.memcpy_htod(&host, &mut part).map_err(fail))?);
    let mut small = stream.alloc_zeros::<u8>(4).map_err(fail)?;
    s.launches = Some(timer.rate(1.0, || stream.memset_zeros(&mut small).map_err(fail))?);
    Ok(())
}

fn products(
    timer: &Timer,
    size: usize,
    gpu: &Gpu,
    s: &mut GpuSurvey,
    progress: &mut dyn FnMut(f64),
) {
    let mut longest = Duration::ZERO;
    for (done, kind) in KINDS.iter().enumerate() {
        progress((1 + done) as f64 / (1 + KINDS.len()) as f64);
        let start = Instant::now();
        match product(timer, kind, size, gpu) {
            Ok((per_second, state)) => {
                let (dtype, accumulate) = (kind.dtype, kind.accumulate);
                s.products.push(GpuProduct { dtype, accumulate, size, per_second });
                if start.elapsed() > longest {
                    (longest, s.loaded) = (start.elapsed(), state);
                }
            }
            Err(e) => s.absent.push(format!("{} GEMM: {e}", kind.dtype)),
        }
    }
}

/// Operations a second of one product, checked, and the GPU's state while it runs.
fn product(timer: &Timer, kind: &Kind, size: usize, gpu: &Gpu) -> Cuda<(Figure, GpuState)> {
    let stream = &timer.stream;
    let (a, b) = (kind.factor.0.random(size * size, 1), kind.factor.0.random(size * size, 2));
    let mut matmul = Matmul {
        a: stream.clone_htod(&a).map_err(fail)?,
        b: stream.clone_htod(&b).map_err(fail)?,
        c: stream.alloc_zeros::<u8>(size * size * kind.result.0.bytes()).map_err(fail)?,
        workspace: stream.alloc_zeros::<u8>(WORKSPACE).map_err(fail)?,
        plan: Plan::new(kind, size as u64)?,
        stream: stream.clone(),
    };
    matmul.run()?;
    let c = stream.clone_dtoh(&matmul.c).map_err(fail)?;
    stream.synchronize().map_err(fail)?;
    check(kind, size, &a, &b, &c)?;
    let figure = timer.rate(2.0 * (size as f64).powi(3), || matmul.run())?;
    // As many as take a fifth of a second, looked at while they run.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let times = (0.2 * figure.median / (2.0 * (size as f64).powi(3))).clamp(2.0, 1e4) as u32;
    for _ in 0..times {
        matmul.run()?;
    }
    let state = now(gpu);
    stream.synchronize().map_err(fail)?;
    Ok((figure, state))
}

/// Sixteen elements against sums of the host.
fn check(kind: &Kind, size: usize, a: &[u8], b: &[u8], c: &[u8]) -> Cuda<()> {
    let (factor, result) = (kind.factor.0, kind.result.0);
    for i in 0..16 {
        let (row, column) = (i * 7919 % size, (i * 104_729 + size - 1) % size);
        let term = |k: usize| factor.at(a, row * size + k) * factor.at(b, column * size + k);
        let sum: f64 = (0..size).map(term).sum();
        let got = result.at(c, column * size + row);
        let exact = matches!(result, Number::Integer { .. });
        let slack = if exact { 0.0 } else { 8.0 * (size as f64).sqrt() * 0.5f64.powi(kind.kept) };
        let off = (got - sum).abs();
        // A result that is no number is wrong.
        if off.is_nan() || off > slack + 2.0 * result.rounding() * sum.abs() {
            let message = format!("wrong: element {row}, {column} is {got} and must be {sum}");
            return Err(GpuError::Cuda(message));
        }
    }
    Ok(())
}

/// Bytes of scratch memory, as NVIDIA recommends for the largest.
const WORKSPACE: usize = 32 << 20;

/// A product with its matrices on the GPU.
struct Matmul {
    a: CudaSlice<u8>,
    b: CudaSlice<u8>,
    c: CudaSlice<u8>,
    workspace: CudaSlice<u8>,
    plan: Plan,
    stream: Arc<CudaStream>,
}

impl Matmul {
    /// Queues `C = Aᵀ·B`.
    fn run(&mut self) -> Cuda<()> {
        let p = &self.plan;
        let (one, zero) = p.scales();
        let pointer = |address: u64| address as *const c_void;
        let (a, _a) = self.a.device_ptr(&self.stream);
        let (b, _b) = self.b.device_ptr(&self.stream);
        let (c, _c) = self.c.device_ptr_mut(&self.stream);
        let (scratch, _scratch) = self.workspace.device_ptr_mut(&self.stream);
        // SAFETY: the descriptors are alive and describe these matrices; scales are read on the host.
        unsafe {
            lt::matmul(
                p.handle,
                p.description,
                one.as_ptr().cast(),
                zero.as_ptr().cast(),
                pointer(a),
                p.factors,
                pointer(b),
                p.factors,
                pointer(c),
                p.result,
                pointer(c).cast_mut(),
                p.result,
                &raw const p.algorithm,
                pointer(scratch).cast_mut(),
                WORKSPACE,
                self.stream.cu_stream().cast(),
            )
        }
        .map_err(fail)
    }
}

/// What is to be multiplied and how, as cuBLASLt wants it said.
struct Plan {
    handle: sys::cublasLtHandle_t,
    description: sys::cublasLtMatmulDesc_t,
    factors: sys::cublasLtMatrixLayout_t,
    result: sys::cublasLtMatrixLayout_t,
    algorithm: sys::cublasLtMatmulAlgo_t,
    integer: bool,
}

impl Plan {
    fn new(kind: &Kind, size: u64) -> Cuda<Self> {
        let layout = |dtype| lt::create_matrix_layout(dtype, size, size, size.cast_signed());
        let mut plan = Self {
            handle: lt::create_handle().map_err(fail)?,
            description: std::ptr::null_mut(),
            factors: std::ptr::null_mut(),
            result: std::ptr::null_mut(),
            algorithm: sys::cublasLtMatmulAlgo_t { data: [0; 8] },
            integer: kind.scale == sys::cudaDataType_t::CUDA_R_32I,
        };
        plan.description = lt::create_matmul_desc(kind.compute, kind.scale).map_err(fail)?;
        plan.factors = layout(kind.factor.1).map_err(fail)?;
        plan.result = layout(kind.result.1).map_err(fail)?;
        let (transposed, most) = (1i32, WORKSPACE);
        let preference = lt::create_matmul_pref().map_err(fail)?;
        // SAFETY: all descriptors are alive; the attributes have the sizes given.
        let found = unsafe {
            let set = lt::set_matmul_desc_attribute(
                plan.description,
                sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_TRANSA,
                (&raw const transposed).cast(),
                size_of_val(&transposed),
            );
            let set = set.and_then(|()| {
                lt::set_matmul_pref_attribute(
                    preference,
                    sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                    (&raw const most).cast(),
                    size_of_val(&most),
                )
            });
            let found = set.and_then(|()| {
                lt::get_matmul_algo_heuristic(
                    plan.handle,
                    plan.description,
                    plan.factors,
                    plan.factors,
                    plan.result,
                    plan.result,
                    preference,
                )
            });
            let _ = lt::destroy_matmul_pref(preference);
            found
        };
        plan.algorithm = found.map_err(fail)?.algo;
        Ok(plan)
    }

    /// One and zero in the type of scales.
    fn scales(&self) -> ([u8; 4], [u8; 4]) {
        let one = if self.integer { 1i32.to_ne_bytes() } else { 1f32.to_ne_bytes() };
        (one, [0; 4])
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: each was made by `new` and is destroyed once; null where `new` stopped before it.
        unsafe {
            for layout in [self.factors, self.result].into_iter().filter(|l| !l.is_null()) {
                let _ = lt::destroy_matrix_layout(layout);
            }
            if !self.description.is_null() {
                let _ = lt::destroy_matmul_desc(self.description);
            }
            let _ = lt::destroy_handle(self.handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_names_are_spelt_as_the_management_library_does() {
        let bytes: [u8; 16] = std::array::from_fn(|i| u8::try_from(0x11 * (i % 16)).unwrap());
        assert_eq!(unique_name(&bytes), "GPU-00112233-4455-6677-8899-aabbccddeeff");
    }

    #[test]
    fn the_check_takes_right_products_and_no_others() {
        for kind in KINDS {
            let size = 48;
            let (a, b) =
                (kind.factor.0.random(size * size, 1), kind.factor.0.random(size * size, 2));
            let mut c = Vec::new();
            for column in 0..size {
                for row in 0..size {
                    let term = |k: usize| {
                        kind.factor.0.at(&a, row * size + k)
                            * kind.factor.0.at(&b, column * size + k)
                    };
                    let sum: f64 = (0..size).map(term).sum();
                    #[allow(clippy::cast_possible_truncation)]
                    let word = if kind.dtype == "i8" {
                        (sum as i32).to_le_bytes()
                    } else {
                        (sum as f32).to_le_bytes()
                    };
                    // The upper half of an f32 is a bf16.
                    let bf16 = kind.result.0 == BF16;
                    c.extend_from_slice(if bf16 { &word[2..] } else { &word });
                }
            }
            if kind.result.0 == F16 {
                continue;
            }
            check(kind, size, &a, &b, &c).unwrap();
            // Not transposed, the product is another.
            assert!(check(kind, size, &b, &a, &c).is_err(), "{}", kind.dtype);
        }
    }
}
