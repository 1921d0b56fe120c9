//! The words of device files. A file may use others, which decide nothing; `Device::problems` names those that are wrong.

rooflens_ground::open_words! {
    /// What a device is.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum DeviceKind {
        /// A processor.
        Cpu = "cpu",
        /// A graphics card or an accelerator of its kind.
        Gpu = "gpu",
        /// An accelerator for neural networks alone.
        Npu = "npu",
        /// A chip with processor, GPU and accelerators on one memory.
        Soc = "soc",
    }
}

rooflens_ground::open_words! {
    /// What a figure rests on.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[cfg_attr(test, schemars(extend("enum" = ["theoretical", "measured"])))]
    pub enum Basis {
        /// A datasheet, or arithmetic on one.
        Theoretical = "theoretical",
        /// A measurement.
        Measured = "measured",
    }
}

rooflens_ground::open_words! {
    /// How sure a number is: `measured`, or in the words of whoever wrote the file, such as `vendor-doc`.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Confidence {
        /// Measured on the device.
        Measured = "measured",
    }
}

rooflens_ground::open_words! {
    /// A memory level: main memory, or a cache by its name, such as `L2`.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum LevelName {
        /// Main memory, of whatever kind.
        Dram = "DRAM",
    }
}

rooflens_ground::open_words! {
    /// Which way the bandwidth of a link is counted.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Direction {
        /// One way.
        OneWay = "one way",
        /// Both ways together.
        BothWays = "both ways",
    }
}

rooflens_ground::open_words! {
    /// The part of a device that computes.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Engine {
        /// Vector units.
        Vector = "vector",
        /// Tensor cores.
        Tensor = "tensor",
        /// Matrix units under another name.
        Matrix = "matrix",
        /// Accelerators that work beside the main engine.
        Dla = "dla",
    }
}

rooflens_ground::open_words! {
    /// The data type of a ceiling, as device files spell it.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum CeilingType {
        /// 64-bit floats.
        F64 = "f64",
        /// 32-bit floats.
        F32 = "f32",
        /// 32-bit floats whose factors are rounded to 10 bits.
        Tf32 = "tf32",
        /// 16-bit floats of IEEE 754.
        F16 = "f16",
        /// 16-bit floats with 8 bits of exponent.
        Bf16 = "bf16",
        /// 8-bit floats of any split.
        F8 = "f8",
        /// 6-bit floats of any split.
        F6 = "f6",
        /// 4-bit floats.
        F4 = "f4",
        /// 32-bit integers.
        I32 = "i32",
        /// 16-bit integers.
        I16 = "i16",
        /// 8-bit integers, with or without sign.
        I8 = "i8",
        /// 4-bit integers, with or without sign.
        I4 = "i4",
    }
}

impl CeilingType {
    /// Whether it is of integers: `i` and a width.
    pub fn is_integer(&self) -> bool {
        self.name().starts_with('i')
    }

    /// What counts as one operation per second: integers are not floating point.
    pub fn unit_of_rate(&self) -> &'static str {
        if self.is_integer() { "OP/s" } else { "FLOP/s" }
    }
}
