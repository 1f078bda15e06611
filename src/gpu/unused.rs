//! A GPU that is in the machine, but that no driver shows: its owner must hear that it idles.
use std::fs;
use std::path::Path;

/// Vendors by their PCI numbers, and what to install.
const VENDORS: [(&str, &str, &str); 3] = [
    (
        "0x10de",
        "NVIDIA",
        "install NVIDIA's driver with its Vulkan part (in a container: run with \
         NVIDIA_DRIVER_CAPABILITIES=all, and install libvulkan1)",
    ),
    ("0x1002", "AMD", "install mesa-vulkan-drivers and give this user /dev/dri"),
    ("0x8086", "Intel", "install mesa-vulkan-drivers and give this user /dev/dri"),
];

/// The vendor of the first display controller among the PCI devices in `folder` whose maker has
/// Vulkan drivers, and what to do for one: on Linux `/sys/bus/pci/devices`.
pub fn unused_gpu(folder: &Path) -> Option<(&'static str, &'static str)> {
    let read = |device: &Path, name| fs::read_to_string(device.join(name)).ok();
    let mut devices: Vec<_> = fs::read_dir(folder).ok()?.flatten().map(|e| e.path()).collect();
    devices.sort();
    let known = devices.iter().filter_map(|device| {
        // Base class 3 is that of display controllers.
        read(device, "class")?.trim().strip_prefix("0x03")?;
        let vendor = read(device, "vendor")?;
        VENDORS.iter().find(|(id, ..)| *id == vendor.trim())
    });
    // The maker of cards for computing first: servers have another for their console.
    known.min_by_key(|found| VENDORS.iter().position(|v| v == *found)).map(|v| (v.1, v.2))
}

/// Says so once, where the software adapter `name` was taken because there is no other.
pub(super) fn warn(name: &str) {
    static SAID: std::sync::Once = std::sync::Once::new();
    if let Some((vendor, remedy)) = unused_gpu(Path::new("/sys/bus/pci/devices")) {
        SAID.call_once(|| {
            log::warn!(
                "this machine has a GPU of {vendor}, but no Vulkan driver shows it: everything \
                 runs on the processor ({name}), many times slower; {remedy}, until `vulkaninfo \
                 --summary` lists it, or say with --adapter or SECATEUR_ADAPTER that the software \
                 adapter is meant"
            );
        });
    }
}
