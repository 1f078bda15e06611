//! Vectors in memory that invocations share are written whole: a store to one component may touch
//! all of it (WGSL, "memory model"), as Metal and Direct3D do, so that two invocations with a
//! component each would race.
use naga::{AddressSpace, Block, Expression, Function, Handle, Module, Statement, Type, TypeInner};

/// What is wrong with `wgsl`, a line for each store.
fn stores_to_components(name: &str, wgsl: &str) -> Vec<String> {
    let module = naga::front::wgsl::parse_str(wgsl).unwrap();
    let entries = module.entry_points.iter().map(|e| &e.function);
    let functions = module.functions.iter().map(|(_, f)| f).chain(entries);
    let mut wrong = Vec::new();
    for function in functions {
        each_store(&function.body, &mut |pointer| {
            if let Some(what) = component(&module, function, pointer) {
                wrong.push(format!("{name}: a store to one component of {what}"));
            }
        });
    }
    wrong
}

fn each_store(block: &Block, each: &mut dyn FnMut(Handle<Expression>)) {
    for statement in block {
        match statement {
            Statement::Store { pointer, .. } => each(*pointer),
            Statement::Block(inner) => each_store(inner, each),
            Statement::If { accept, reject, .. } => {
                [accept, reject].into_iter().for_each(|inner| each_store(inner, each));
            }
            Statement::Switch { cases, .. } => {
                cases.iter().for_each(|case| each_store(&case.body, each));
            }
            Statement::Loop { body, continuing, .. } => {
                [body, continuing].into_iter().for_each(|inner| each_store(inner, each));
            }
            _ => {}
        }
    }
}

/// The vector in shared memory that `pointer` is a component of.
fn component(module: &Module, function: &Function, pointer: Handle<Expression>) -> Option<String> {
    let base = match function.expressions[pointer] {
        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => base,
        _ => return None,
    };
    let (name, space, ty) = pointee(module, function, base)?;
    let shared = matches!(space, AddressSpace::WorkGroup | AddressSpace::Storage { .. });
    let vector = matches!(module.types[ty].inner, TypeInner::Vector { .. });
    (shared && vector).then_some(name)
}

/// Of the pointer `at`: the variable that it leads into, where that is, and what it points to.
/// `None` for what points to a component.
fn pointee(
    module: &Module,
    function: &Function,
    at: Handle<Expression>,
) -> Option<(String, AddressSpace, Handle<Type>)> {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let (base, field) = match function.expressions[at] {
        Expression::GlobalVariable(var) => {
            let var = &module.global_variables[var];
            return Some((name(&var.name), var.space, var.ty));
        }
        Expression::FunctionArgument(i) => {
            let argument = &function.arguments[i as usize];
            let TypeInner::Pointer { base, space } = module.types[argument.ty].inner else {
                return None;
            };
            return Some((name(&argument.name), space, base));
        }
        Expression::Access { base, .. } => (base, 0),
        Expression::AccessIndex { base, index } => (base, index),
        _ => return None,
    };
    let (name, space, ty) = pointee(module, function, base)?;
    let inner = match &module.types[ty].inner {
        TypeInner::Array { base, .. } => *base,
        TypeInner::Struct { members, .. } => members[field as usize].ty,
        _ => return None,
    };
    Some((name, space, inner))
}

#[test]
fn shared_vectors_are_written_whole() {
    let texts = super::all().flat_map(|k| super::texts(k).map(|text| (k.name, text)));
    let wrong: Vec<_> = texts.flat_map(|(name, wgsl)| stores_to_components(name, wgsl)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The check itself must be able to fail, and only for what is shared.
#[test]
fn a_store_to_a_component_is_found() {
    let declared = "
        struct Four { before: f32, at: array<vec4<f32>, 2> }
        var<workgroup> tile: array<vec4<f32>, 8>;
        var<workgroup> inside: Four;
        var<workgroup> numbers: array<f32, 8>;
        @group(0) @binding(0) var<storage, read_write> out: array<vec2<f32>>;
        fn put(to: ptr<function, vec4<f32>>, x: f32) { (*to).x = x; }";
    let found = |body: &str| {
        let main = "@compute @workgroup_size(8)
            fn main(@builtin(local_invocation_index) i: u32) { var own = vec4<f32>();";
        stores_to_components("x", &format!("{declared}\n{main} {body} }}"))
    };
    for wrong in [
        "tile[i / 4u][i % 4u] = 1.0;",
        "tile[i].z = 1.0;",
        "inside.at[i][1] = 1.0;",
        "out[i].y = 1.0;",
        "if i > 1u { for (var j = 0u; j < 2u; j += 1u) { out[i][j] = 1.0; } }",
        "let p = &tile[i]; (*p).w = 1.0;",
        "} fn share(to: ptr<workgroup, vec4<f32>>) { (*to).y = 1.0;",
    ] {
        assert_eq!(found(wrong).len(), 1, "{wrong}");
    }
    for right in [
        "tile[i] = vec4(1.0);",
        "numbers[i] = 1.0;",
        "inside.before = 1.0;",
        "own[i] = 1.0; own.x = 2.0; put(&own, 1.0); tile[i] = own;",
        "out[i] = vec2(1.0);",
    ] {
        assert_eq!(found(right), Vec::<String>::new(), "{right}");
    }
}
