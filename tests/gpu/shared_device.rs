//! A device of the application's: what it has is used and no more, and it stays the application's.
#![expect(clippy::disallowed_methods, reason = "the application polls and submits on its own")]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use secateur::data::{Batches, digits};
use secateur::gpu::{Gpu, GpuOptions, Precision, Timestamps};
use secateur::kernels::Add;
use secateur::raw::wgpu::{self, PollType};
use secateur::raw::{Encoder, Phase, PlanBuilder, Program, Slot};
use secateur::train::{Event, TrainOptions, train};
use secateur::{Error, MaskUpdateOp, Model, Optimizer, Session, TrainOp};

use crate::common::gpu;

/// What an application has of wgpu.
struct Host {
    adapter: wgpu::Adapter,
    device: wgpu::Device,
    queue: wgpu::Queue,
}

/// On the adapter that the other tests run on.
fn host(
    descriptor: impl FnOnce(&wgpu::Adapter) -> wgpu::DeviceDescriptor<'static>,
) -> Option<Host> {
    let name = &gpu()?.report().name;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let all = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let adapter = all.into_iter().find(|a| a.get_info().name == *name).expect("it was there");
    let opened = pollster::block_on(adapter.request_device(&descriptor(&adapter)));
    let (device, queue) = opened.unwrap();
    Some(Host { adapter, device, queue })
}

impl Host {
    fn share(&self, options: &GpuOptions) -> secateur::Result<Gpu> {
        Gpu::from_wgpu(&self.adapter, self.device.clone(), self.queue.clone(), options)
    }

    /// Work of its own: whether a word arrives that it writes and copies.
    fn works(&self) -> bool {
        let buffer = |usage| wgpu::BufferDescriptor {
            label: None,
            size: 4,
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let from = self.device.create_buffer(&buffer(wgpu::BufferUsages::COPY_SRC));
        let to = self.device.create_buffer(&buffer(wgpu::BufferUsages::MAP_READ));
        self.queue.write_buffer(&from, 0, &[1, 2, 3, 4]);
        let mut commands = self.device.create_command_encoder(&Default::default());
        commands.copy_buffer_to_buffer(&from, 0, &to, 0, 4);
        self.queue.submit([commands.finish()]);
        to.map_async(wgpu::MapMode::Read, .., |_| {});
        let _ = self.device.poll(PollType::wait_indefinitely());
        to.get_mapped_range(..).is_ok_and(|bytes| bytes[..] == [1, 2, 3, 4])
    }
}

/// A plan that doubles `x`.
fn doubling(gpu: &Gpu) -> secateur::Result<(Program, Phase, [Slot; 2])> {
    let mut plan = PlanBuilder::new(gpu.target());
    let phase = plan.phase("test");
    let [x, out] = ["x", "out"].map(|name| plan.persistent(name, 100));
    plan.push(Add { x, y: x, out, len: 100, period: 100 })?;
    Ok((plan.build(gpu)?, phase, [x, out]))
}

fn doubles(gpu: &Gpu) -> secateur::Result<()> {
    let (program, phase, [x, out]) = doubling(gpu)?;
    program.upload(gpu, x, &[1.5f32; 100]);
    let mut encoder = Encoder::new(gpu);
    program.encode(phase, &mut encoder);
    encoder.submit()?;
    assert_eq!(program.download::<f32>(gpu, out)?, [3.0; 100]);
    Ok(())
}

fn lost<T: std::fmt::Debug>(result: secateur::Result<T>) {
    assert!(matches!(result, Err(Error::DeviceLost(_))), "{result:?}");
}

fn five_steps(gpu: &Gpu) -> Session {
    let batches = Batches::new(digits().train, 32, Some(1)).unwrap();
    let op = TrainOp::new(gpu, &Model::mlp(&[16]), Optimizer::adam(0.01), batches, 1).unwrap();
    let options = TrainOptions::default().number_of_steps(Some(5));
    train(op, None, MaskUpdateOp::none(), options).unwrap().session
}

#[test]
fn handles_may_go_to_other_threads() {
    fn both<T: Send + Sync>() {}
    both::<Gpu>();
    both::<Program>();
    both::<PlanBuilder>();
    both::<Encoder>();
}

/// While another thread of the application works on the device and polls it.
#[test]
fn training_has_the_bits_of_a_device_of_its_own() {
    let Some(host) = host(Gpu::descriptor) else { return };
    let shared = host.share(&GpuOptions::default()).unwrap();
    let own = gpu().expect("it was there");
    assert!(shared.is_shared() && !own.is_shared());
    let want = five_steps(own).weights("fc1.weight").unwrap();
    let done = AtomicBool::new(false);
    let got = std::thread::scope(|scope| {
        let at_work = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert!(host.works());
            }
        });
        let got = five_steps(&shared).weights("fc1.weight").unwrap();
        done.store(true, Ordering::Relaxed);
        at_work.join().unwrap();
        got
    });
    assert!(got == want);
    drop(shared);
    assert!(host.works(), "the device outlives the handle");
}

#[test]
fn what_the_device_was_not_given_is_not_used() {
    let Some(host) = host(|_| wgpu::DeviceDescriptor::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let cache_dir = Some(folder.path().to_owned());
    let options = GpuOptions::default().precision(Precision::Mixed).cache_dir(cache_dir);
    let shared = host.share(&options).unwrap();
    let report = shared.report();
    assert_eq!((report.max_binding, report.max_buffer), (128 << 20, 256 << 20));
    assert_eq!(report.workgroup_memory, 16_384);
    assert!(!(report.timestamps || report.subgroups || report.f16 || report.pipeline_cache));
    assert_eq!((report.cooperative, shared.target().subgroup), (None, None));
    assert_eq!(shared.precision(), Precision::F32);
    let timestamps = Timestamps::new(&shared, 1, Instant::now()).unwrap();
    assert!(timestamps.is_none());
    doubles(&shared).unwrap();
    // A tuner's choices are the adapter's, so they go from one device to another.
    let mut choices = shared.target().choices;
    assert!(choices.set(0, "blocks"));
    shared.keep_tuning(&choices).unwrap();
    let other = Gpu::open(&options.adapter(Some(report.name.clone()))).unwrap();
    assert_eq!(
        (other.target().choices, shared.report().name.as_str()),
        (choices, &*other.report().name)
    );
    drop(shared);
    let kept = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(kept, 1, "no pipelines are kept, as the device was not given the feature");
}

#[test]
fn what_is_useful_is_asked_for() {
    let Some(host) = host(Gpu::descriptor) else { return };
    let (shared, own) = (host.share(&GpuOptions::default()).unwrap(), gpu().expect("it was there"));
    // It was not chosen here, so it has no number.
    let own_report = own.report().clone().cooperative(None).index(None);
    assert_eq!(shared.report(), &own_report);
    assert_eq!(shared.target().subgroup, own.target().subgroup);
}

#[test]
fn a_limit_that_is_too_small_is_named() {
    let small = |_: &wgpu::Adapter| wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits {
            max_storage_buffers_per_shader_stage: 4,
            ..Default::default()
        },
        ..Default::default()
    };
    let Some(host) = host(small) else { return };
    let most = host.adapter.limits().max_storage_buffers_per_shader_stage;
    let error = host.share(&GpuOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    let want = format!(
        "`device`: its limit max_storage_buffers_per_shader_stage is 4, needed is 8, and its adapter has {most}: \
         ask for as much in `required_limits`, or open it with Gpu::descriptor(&adapter)"
    );
    assert_eq!(error.to_string(), want);
}

/// This crate's mistakes are its caller's to hear of, the application's own go where they went
/// before.
#[test]
fn handlers_stay_the_applications() {
    let Some(host) = host(Gpu::descriptor) else { return };
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = Arc::clone(&heard);
    host.device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
        listener.lock().unwrap().push(e.to_string());
    }));
    let shared = host.share(&GpuOptions::default()).unwrap();
    let (program, phase, [x, _]) = doubling(&shared).unwrap();
    // Past the end of the buffer, which no check of the host's own foresees.
    let mut longer = x;
    longer.words = 200;
    program.upload(&shared, longer, &[0f32; 200]);
    let mut encoder = Encoder::new(&shared);
    program.encode(phase, &mut encoder);
    let error = encoder.submit().unwrap_err();
    assert!(matches!(error, Error::Device(_)), "{error:?}");
    assert_eq!(heard.lock().unwrap().len(), 0, "{:?}", heard.lock().unwrap());
    doubles(&shared).unwrap();
    // Mapping and uniform cannot go together.
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::UNIFORM;
    let _ = host.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4,
        usage,
        mapped_at_creation: false,
    });
    assert_eq!(heard.lock().unwrap().len(), 1);
    doubles(&shared).unwrap();
}

#[test]
fn a_loss_is_noticed_and_told_to_both() {
    let Some(host) = host(Gpu::descriptor) else { return };
    let told = Arc::new(AtomicBool::new(false));
    let listener = Arc::clone(&told);
    host.device.set_device_lost_callback(move |_, _| listener.store(true, Ordering::Relaxed));
    let shared = host.share(&GpuOptions::default()).unwrap();
    let (program, phase, [x, out]) = doubling(&shared).unwrap();
    host.device.destroy();
    program.upload(&shared, x, &[1f32; 100]);
    let mut encoder = Encoder::new(&shared);
    program.encode(phase, &mut encoder);
    lost(encoder.submit());
    lost(program.download::<f32>(&shared, out));
    lost(shared.wait());
    lost(doubling(&shared));
    let _ = host.device.poll(PollType::Poll);
    assert!(told.load(Ordering::Relaxed), "the application's callback is still there");
    lost(host.share(&GpuOptions::default()));
    let error = shared.reopen().unwrap_err();
    assert!(error.to_string().contains("Gpu::from_wgpu"), "{error}");
}

/// However many retries are allowed, there is no device to go on with, nor any to wait for.
#[test]
fn a_run_ends_with_its_device() {
    let Some(host) = host(Gpu::descriptor) else { return };
    let shared = host.share(&GpuOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let batches = Batches::new(digits().train, 32, Some(1)).unwrap();
    let op = TrainOp::new(&shared, &Model::mlp(&[16]), Optimizer::adam(0.01), batches, 1).unwrap();
    let mut starts = 0;
    let options = TrainOptions::default()
        .number_of_steps(Some(40))
        .max_retries(7)
        .save_summaries_steps(Some(1))
        .on_event(Some(Box::new(|event| match event {
            Event::Start { .. } => starts += 1,
            Event::Step(step) if step.step == 20 => host.device.destroy(),
            _ => {}
        })));
    let begun = Instant::now();
    lost(train(op, Some(folder.path()), MaskUpdateOp::none(), options).map(|_| ()));
    // Retries would sleep 0 + 1 + ... + 6 s.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(starts, 1);
}

#[test]
fn giving_the_handle_up_leaves_the_device() {
    let Some(host) = host(Gpu::descriptor) else { return };
    let shared = host.share(&GpuOptions::default()).unwrap();
    let clone = shared.clone();
    shared.destroy();
    lost(doubles(&clone));
    assert!(host.works());
    doubles(&host.share(&GpuOptions::default()).unwrap()).unwrap();
}

/// A callback of the application's that panics is no loss of the device.
#[test]
fn a_panic_of_the_application_goes_on() {
    let Some(host) = host(Gpu::descriptor) else { return };
    let shared = host.share(&GpuOptions::default()).unwrap();
    host.queue.on_submitted_work_done(|| panic!("the application's"));
    let panic = catch_unwind(AssertUnwindSafe(|| shared.wait())).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the application's"));
    doubles(&shared).unwrap();
}
