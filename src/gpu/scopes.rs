//! Error scopes: what wgpu would panic about, or tell a handler, as a value.

/// Scopes for every kind of error, which are the calling thread's.
pub(super) struct Scopes {
    // Those opened last come first: a panic drops them in this order.
    validation: wgpu::ErrorScopeGuard,
    memory: wgpu::ErrorScopeGuard,
    internal: wgpu::ErrorScopeGuard,
}

/// What went wrong inside of scopes.
pub(super) enum Failure {
    OutOfMemory,
    Other(String),
}

impl Scopes {
    pub(super) fn open(device: &wgpu::Device) -> Self {
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        Self { validation, memory, internal }
    }

    /// The first failure since; that of memory explains the others.
    pub(super) fn close(self) -> Option<Failure> {
        let validation = pollster::block_on(self.validation.pop());
        let memory = pollster::block_on(self.memory.pop());
        let internal = pollster::block_on(self.internal.pop());
        match (memory, validation.or(internal)) {
            (Some(_), _) => Some(Failure::OutOfMemory),
            (None, Some(e)) => Some(Failure::Other(e.to_string())),
            (None, None) => None,
        }
    }
}
