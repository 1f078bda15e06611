use secateur::gpu::*;
use secateur::kernels::*;
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}
fn main() {
    let mut options = GpuOptions::from_env().unwrap();
    options.cache_dir = None;
    let gpu = Gpu::open(&options).unwrap();
    let target = match std::env::args().nth(1).as_deref() {
        Some("blocks") => Target { software: true, ..Target::default() },
        Some("tiles") => Target::default(),
        _ => gpu.target(),
    };
    let relu = Activation::Relu;
    let id = Activation::Identity;
    let masked = std::env::args().nth(2).is_some();
    let cases = [
        ("warm", Form::NN, 1, 1, 1, false, id, false),
        ("fc1 fwd", Form::NN, 128, 300, 784, true, relu, false),
        ("fc2 fwd", Form::NN, 128, 100, 300, true, relu, false),
        ("fc3 fwd", Form::NN, 128, 10, 100, true, id, false),
        ("fc3 dw", Form::TN, 100, 10, 128, false, id, false),
        ("fc3 dx", Form::NT, 128, 100, 10, false, id, true),
        ("fc2 dw", Form::TN, 300, 100, 128, false, id, false),
        ("fc2 dx", Form::NT, 128, 300, 100, false, id, true),
        ("fc1 dw", Form::TN, 784, 300, 128, false, id, false),
        ("NN 512", Form::NN, 512, 512, 512, false, id, false),
        ("TN 512", Form::TN, 512, 512, 512, false, id, false),
    ];
    let mut plan = PlanBuilder::new(target);
    let mut phases = vec![];
    for (name, form, m, n, k, bias, activation, gate) in cases {
        let [a, b, c, g, bb, mk] = [
            ("a", m * k),
            ("b", k * n),
            ("c", m * n),
            ("g", m * n),
            ("bias", n),
            ("mk", k * n / 32 + 1),
        ]
        .map(|(x, l): (&str, u32)| plan.persistent(format!("{name}{x}"), l));
        phases.push((name, plan.phase(name)));
        let gate = gate.then_some((g, relu));
        let bias = bias.then_some(bb);
        Matmul {
            form,
            a,
            b,
            mask: (masked && form != Form::TN).then_some(mk),
            bias,
            activation,
            gate,
            c,
            m,
            n,
            k,
            begin: [0; 2],
        }
        .push(&mut plan)
        .unwrap();
    }
    if std::env::args().nth(2).is_some() {
        println!("{plan}");
    }
    let t = (cpu(), std::time::Instant::now());
    let program = plan.build(&gpu).unwrap();
    println!("build: cpu {:.2} wall {:.2}", cpu() - t.0, t.1.elapsed().as_secs_f64());
    for (name, phase) in phases {
        let t = (cpu(), std::time::Instant::now());
        let mut e = Encoder::new(&gpu);
        program.encode(phase, &mut e);
        e.submit().unwrap();
        gpu.wait().unwrap();
        let (c, w) = (cpu() - t.0, t.1.elapsed().as_secs_f64());
        let t = cpu();
        let mut n = 0;
        while cpu() - t < 1.0 {
            let mut e = Encoder::new(&gpu);
            for _ in 0..8 {
                program.encode(phase, &mut e);
            }
            e.submit().unwrap();
            gpu.wait().unwrap();
            n += 8;
        }
        println!(
            "{name}: first cpu {c:.2} wall {w:.2}; then cpu {:.3} ms",
            (cpu() - t) / n as f64 * 1e3
        );
    }
}
