//! An application that has a wgpu device already shares it: it computes on the device itself, has
//! secateur train on it, and goes on computing.
//!
//! `cargo run --release --example shared_device [-- --quick]`
use secateur::raw::wgpu;
use secateur::{
    Batches, Gpu, GpuOptions, Model, Optimizer, Pruning, Result, TrainOp, TrainOptions, digits,
    train,
};

/// What the application itself computes with.
const SQUARES: &str = "
    @group(0) @binding(0) var<storage, read_write> x: array<u32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        x[id.x] = id.x * id.x;
    }";

/// The application's own work: the first 64 squares.
#[expect(clippy::disallowed_methods, reason = "the application submits and polls on its own")]
fn squares(device: &wgpu::Device, queue: &wgpu::Queue) -> Vec<u8> {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("squares"),
        source: wgpu::ShaderSource::Wgsl(SQUARES.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("squares"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    let buffer = |usage| {
        let descriptor =
            wgpu::BufferDescriptor { label: None, size: 256, usage, mapped_at_creation: false };
        device.create_buffer(&descriptor)
    };
    let squares = buffer(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
    let staging = buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: squares.as_entire_binding() }],
    });
    let mut commands = device.create_command_encoder(&Default::default());
    let mut pass = commands.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &bind_group, &[]);
    pass.dispatch_workgroups(1, 1, 1);
    drop(pass);
    commands.copy_buffer_to_buffer(&squares, 0, &staging, 0, 256);
    queue.submit([commands.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("the device is well"));
    device.poll(wgpu::PollType::wait_indefinitely()).expect("the device is well");
    staging.get_mapped_range(..).expect("it is mapped").to_vec()
}

fn main() -> Result<()> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    // The application's own instance, adapter, device and queue; it asks for what secateur can use.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default()))
        .expect("an adapter; scripts/setup.sh installs one");
    let descriptor = Gpu::descriptor(&adapter);
    let (device, queue) =
        pollster::block_on(adapter.request_device(&descriptor)).expect("the adapter opens");
    let before = squares(&device, &queue);

    let gpu = Gpu::from_wgpu(&adapter, device.clone(), queue.clone(), &GpuOptions::default())?;
    let (report, steps) = (gpu.report(), if quick { 200 } else { 1000 });
    println!("{} ({}), opened by the application", report.name, report.backend);
    let data = digits();
    let batches = Batches::new(data.train, 64, Some(1))?;
    let op = TrainOp::new(&gpu, &Model::mlp(&[64]), Optimizer::adam(0.003), batches, 1)?;
    let spec = format!(
        "target_sparsity=0.8,pruning_frequency=20,sparsity_function_end_step={}",
        steps * 3 / 4,
    );
    let pruning = Pruning::new(spec.parse()?)?.conditional_mask_update_op();
    let options = TrainOptions::default().number_of_steps(Some(steps));
    let outcome = train(op, None, pruning, options)?;
    let accuracy = outcome.session.evaluate(&data.test)?.accuracy().unwrap_or(0.0);
    let weights = outcome.session.weights("fc1.weight")?;
    let kept = weights.iter().filter(|w| **w != 0.0).count();
    println!("{} steps on it: test accuracy {accuracy:.4}", outcome.global_step);
    println!("fc1.weight: {kept} of {} weights are left", weights.len());

    drop((outcome, gpu));
    let same = squares(&device, &queue) == before;
    println!("the application's own results are {}", if same { "as before" } else { "WRONG" });
    Ok(())
}
