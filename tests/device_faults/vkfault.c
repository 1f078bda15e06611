/*
 * A Vulkan layer that makes a working driver fail, as the environment says:
 *
 *   VKFAULT_SUBMIT_LOST=n   the n-th vkQueueSubmit loses the device
 *   VKFAULT_WAIT_LOST=n     the n-th wait, for semaphores or fences, loses the device
 *   VKFAULT_TIMES=m         the calls n, 2n, ... mn do so; 1 by default
 *   VKFAULT_SUBMIT_HANG=n   the device hangs at the n-th vkQueueSubmit
 *   VKFAULT_WAIT_HANG=n     the device hangs at the n-th wait
 *   VKFAULT_ALLOC_OOM=n     the n-th vkAllocateMemory finds no memory
 *   VKFAULT_BUFFER_OOM=n    the n-th vkCreateBuffer finds no memory
 *   VKFAULT_BUFFER_BYTES=b  counting those of b bytes or more
 *   VKFAULT_OOM_STICKY=1    nor does any such call after it
 *   VKFAULT_NO_BARRIERS=1   no vkCmdPipelineBarrier reaches what is below
 *
 * Calls count from 1 over all devices of the process. A lost device stays lost; one created after it
 * works. A hung device accepts submissions and never runs them: its counters stand still, its waits
 * time out, and a wait without a timeout never comes back.
 *
 * Each fault is a line on standard error: "vkfault: ", the seconds since 1970, and what happens.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vulkan/vulkan.h>
#include <vulkan/vk_layer.h>

#define EXPORT __attribute__((visibility("default")))
#define CALL static VKAPI_ATTR VkResult VKAPI_CALL
#define MAX_DEVICES 64

enum state { WELL, LOST, HUNG };

/* The functions below this layer that it stands in front of. */
struct next {
    PFN_vkGetDeviceProcAddr GetDeviceProcAddr;
    PFN_vkDestroyDevice DestroyDevice;
    PFN_vkQueueSubmit QueueSubmit;
    PFN_vkQueueWaitIdle QueueWaitIdle;
    PFN_vkDeviceWaitIdle DeviceWaitIdle;
    PFN_vkWaitSemaphores WaitSemaphores;
    PFN_vkGetSemaphoreCounterValue GetSemaphoreCounterValue;
    PFN_vkWaitForFences WaitForFences;
    PFN_vkGetFenceStatus GetFenceStatus;
    PFN_vkAllocateMemory AllocateMemory;
    PFN_vkCreateBuffer CreateBuffer;
    PFN_vkCmdPipelineBarrier CmdPipelineBarrier;
};

struct device {
    void *key; /* NULL in a free entry */
    enum state state;
    uint64_t counter; /* what was last read of its timeline semaphore */
    struct next next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct device devices[MAX_DEVICES];
static VkInstance instance;
static PFN_vkGetInstanceProcAddr next_instance_proc;
static long submits, waits, allocations, buffers, losses;

static long setting(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

static void say(const char *what, const char *call, long n) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(stderr, "vkfault: %lld.%03ld %s at %s %ld\n", (long long)now.tv_sec,
            now.tv_nsec / 1000000, what, call, n);
}

/* A device and its queues share the loader's dispatch table: their first word. */
static void *key_of(const void *handle) { return *(void *const *)handle; }

static struct device *find(void *key) {
    for (int i = 0; i < MAX_DEVICES; i++)
        if (devices[i].key == key)
            return &devices[i];
    return NULL;
}

static struct device *device_of(const void *handle) {
    pthread_mutex_lock(&lock);
    struct device *device = find(key_of(handle));
    pthread_mutex_unlock(&lock);
    if (!device)
        abort();
    return device;
}

/* Counts a call; the device fails when it is this one's turn. */
static enum state counted(struct device *device, const char *call, long *calls, const char *lost,
                          const char *hung) {
    pthread_mutex_lock(&lock);
    long n = ++*calls, lost_at = setting(lost, 0), hung_at = setting(hung, 0);
    if (device->state == WELL && lost_at && losses < setting("VKFAULT_TIMES", 1) &&
        n >= lost_at * (losses + 1)) {
        losses++;
        device->state = LOST;
        say("device lost", call, n);
    }
    if (device->state == WELL && hung_at && n >= hung_at) {
        device->state = HUNG;
        say("device hangs", call, n);
    }
    enum state state = device->state;
    pthread_mutex_unlock(&lock);
    return state;
}

static enum state counted_wait(struct device *device, const char *call) {
    return counted(device, call, &waits, "VKFAULT_WAIT_LOST", "VKFAULT_WAIT_HANG");
}

static void never(void) {
    for (;;)
        pause();
}

static VkResult time_out(uint64_t ns) {
    if (ns == UINT64_MAX)
        never();
    struct timespec rest = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    while (nanosleep(&rest, &rest))
        ;
    return VK_TIMEOUT;
}

CALL queue_submit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos, VkFence fence) {
    struct device *device = device_of(queue);
    switch (counted(device, "vkQueueSubmit", &submits, "VKFAULT_SUBMIT_LOST",
                    "VKFAULT_SUBMIT_HANG")) {
    case LOST: return VK_ERROR_DEVICE_LOST;
    case HUNG: return VK_SUCCESS;
    default: return device->next.QueueSubmit(queue, count, infos, fence);
    }
}

CALL wait_semaphores(VkDevice handle, const VkSemaphoreWaitInfo *info, uint64_t timeout) {
    struct device *device = device_of(handle);
    switch (counted_wait(device, "vkWaitSemaphores")) {
    case LOST: return VK_ERROR_DEVICE_LOST;
    case HUNG: return *info->pValues <= device->counter ? VK_SUCCESS : time_out(timeout);
    default: return device->next.WaitSemaphores(handle, info, timeout);
    }
}

CALL wait_for_fences(VkDevice handle, uint32_t count, const VkFence *fences, VkBool32 all,
                     uint64_t timeout) {
    struct device *device = device_of(handle);
    switch (counted_wait(device, "vkWaitForFences")) {
    case LOST: return VK_ERROR_DEVICE_LOST;
    case HUNG: return time_out(timeout);
    default: return device->next.WaitForFences(handle, count, fences, all, timeout);
    }
}

CALL get_semaphore_counter_value(VkDevice handle, VkSemaphore semaphore, uint64_t *value) {
    struct device *device = device_of(handle);
    if (device->state == LOST)
        return VK_ERROR_DEVICE_LOST;
    if (device->state == HUNG) {
        *value = device->counter;
        return VK_SUCCESS;
    }
    VkResult result = device->next.GetSemaphoreCounterValue(handle, semaphore, value);
    device->counter = *value;
    return result;
}

CALL get_fence_status(VkDevice handle, VkFence fence) {
    struct device *device = device_of(handle);
    switch (device->state) {
    case LOST: return VK_ERROR_DEVICE_LOST;
    case HUNG: return VK_NOT_READY;
    default: return device->next.GetFenceStatus(handle, fence);
    }
}

/* The driver below still works for a lost device: what it uses must not be freed under it. */
CALL queue_wait_idle(VkQueue queue) {
    struct device *device = device_of(queue);
    if (device->state == HUNG)
        never();
    VkResult result = device->next.QueueWaitIdle(queue);
    return device->state == LOST ? VK_ERROR_DEVICE_LOST : result;
}

CALL device_wait_idle(VkDevice handle) {
    struct device *device = device_of(handle);
    if (device->state == HUNG)
        never();
    VkResult result = device->next.DeviceWaitIdle(handle);
    return device->state == LOST ? VK_ERROR_DEVICE_LOST : result;
}

/* Counts a call that needs memory; whether it finds none. */
static int out_of_memory(const char *call, long *calls, const char *oom) {
    pthread_mutex_lock(&lock);
    long n = ++*calls, fails_at = setting(oom, 0);
    int fails = fails_at && (setting("VKFAULT_OOM_STICKY", 0) ? n >= fails_at : n == fails_at);
    if (fails)
        say("out of memory", call, n);
    pthread_mutex_unlock(&lock);
    return fails;
}

CALL allocate_memory(VkDevice handle, const VkMemoryAllocateInfo *info,
                     const VkAllocationCallbacks *allocator, VkDeviceMemory *memory) {
    if (out_of_memory("vkAllocateMemory", &allocations, "VKFAULT_ALLOC_OOM"))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return device_of(handle)->next.AllocateMemory(handle, info, allocator, memory);
}

CALL create_buffer(VkDevice handle, const VkBufferCreateInfo *info,
                   const VkAllocationCallbacks *allocator, VkBuffer *buffer) {
    int counts = info->size >= (VkDeviceSize)setting("VKFAULT_BUFFER_BYTES", 0);
    if (counts && out_of_memory("vkCreateBuffer", &buffers, "VKFAULT_BUFFER_OOM"))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return device_of(handle)->next.CreateBuffer(handle, info, allocator, buffer);
}

static VKAPI_ATTR void VKAPI_CALL cmd_pipeline_barrier(
    VkCommandBuffer commands, VkPipelineStageFlags from, VkPipelineStageFlags to,
    VkDependencyFlags flags, uint32_t memory_count, const VkMemoryBarrier *memory,
    uint32_t buffer_count, const VkBufferMemoryBarrier *buffer, uint32_t image_count,
    const VkImageMemoryBarrier *image) {
    if (!setting("VKFAULT_NO_BARRIERS", 0))
        device_of(commands)->next.CmdPipelineBarrier(commands, from, to, flags, memory_count,
                                                     memory, buffer_count, buffer, image_count,
                                                     image);
}

/* The loader's link to the layer below, in a chain of structures that `type` begins. */
#define LINK(Info, type, info)                                                                     \
    Info *link = (Info *)(info)->pNext;                                                            \
    while (link && !(link->sType == type && link->function == VK_LAYER_LINK_INFO))                 \
        link = (Info *)link->pNext;                                                                \
    if (!link)                                                                                     \
        return VK_ERROR_INITIALIZATION_FAILED;

CALL create_instance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator,
                     VkInstance *created) {
    LINK(VkLayerInstanceCreateInfo, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO, info)
    next_instance_proc = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    PFN_vkCreateInstance create =
        (PFN_vkCreateInstance)next_instance_proc(NULL, "vkCreateInstance");
    VkResult result = create(info, allocator, created);
    if (result == VK_SUCCESS)
        instance = *created;
    return result;
}

CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
                   const VkAllocationCallbacks *allocator, VkDevice *created) {
    LINK(VkLayerDeviceCreateInfo, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO, info)
    PFN_vkGetInstanceProcAddr next_proc = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    PFN_vkGetDeviceProcAddr get = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    PFN_vkCreateDevice create = (PFN_vkCreateDevice)next_proc(instance, "vkCreateDevice");
    VkResult result = create(physical, info, allocator, created);
    if (result != VK_SUCCESS)
        return result;
    VkDevice handle = *created;
#define NEXT(name) .name = (PFN_vk##name)get(handle, "vk" #name)
    struct next next = {
        .GetDeviceProcAddr = get,
        NEXT(DestroyDevice),
        NEXT(QueueSubmit),
        NEXT(QueueWaitIdle),
        NEXT(DeviceWaitIdle),
        NEXT(WaitSemaphores),
        NEXT(GetSemaphoreCounterValue),
        NEXT(WaitForFences),
        NEXT(GetFenceStatus),
        NEXT(AllocateMemory),
        NEXT(CreateBuffer),
        NEXT(CmdPipelineBarrier),
    };
    pthread_mutex_lock(&lock);
    struct device *device = find(NULL);
    if (!device)
        abort();
    *device = (struct device){.key = key_of(handle), .state = WELL, .next = next};
    pthread_mutex_unlock(&lock);
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL destroy_device(VkDevice handle,
                                                 const VkAllocationCallbacks *allocator) {
    if (!handle)
        return;
    struct device *device = device_of(handle);
    PFN_vkDestroyDevice destroy = device->next.DestroyDevice;
    pthread_mutex_lock(&lock);
    device->key = NULL;
    pthread_mutex_unlock(&lock);
    destroy(handle, allocator);
}

static PFN_vkVoidFunction own(const char *name);

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkfault_device_proc(VkDevice handle,
                                                                    const char *name) {
    PFN_vkVoidFunction function = own(name);
    return function ? function : device_of(handle)->next.GetDeviceProcAddr(handle, name);
}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkfault_instance_proc(VkInstance handle,
                                                                      const char *name) {
    PFN_vkVoidFunction function = own(name);
    return function ? function : next_instance_proc(handle, name);
}

static PFN_vkVoidFunction own(const char *name) {
    static const struct {
        const char *name;
        PFN_vkVoidFunction function;
    } functions[] = {
        {"vkGetInstanceProcAddr", (PFN_vkVoidFunction)vkfault_instance_proc},
        {"vkGetDeviceProcAddr", (PFN_vkVoidFunction)vkfault_device_proc},
        {"vkCreateInstance", (PFN_vkVoidFunction)create_instance},
        {"vkCreateDevice", (PFN_vkVoidFunction)create_device},
        {"vkDestroyDevice", (PFN_vkVoidFunction)destroy_device},
        {"vkQueueSubmit", (PFN_vkVoidFunction)queue_submit},
        {"vkQueueWaitIdle", (PFN_vkVoidFunction)queue_wait_idle},
        {"vkDeviceWaitIdle", (PFN_vkVoidFunction)device_wait_idle},
        {"vkWaitSemaphores", (PFN_vkVoidFunction)wait_semaphores},
        {"vkGetSemaphoreCounterValue", (PFN_vkVoidFunction)get_semaphore_counter_value},
        {"vkWaitForFences", (PFN_vkVoidFunction)wait_for_fences},
        {"vkGetFenceStatus", (PFN_vkVoidFunction)get_fence_status},
        {"vkAllocateMemory", (PFN_vkVoidFunction)allocate_memory},
        {"vkCreateBuffer", (PFN_vkVoidFunction)create_buffer},
        {"vkCmdPipelineBarrier", (PFN_vkVoidFunction)cmd_pipeline_barrier},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!strcmp(functions[i].name, name))
            return functions[i].function;
    return NULL;
}

/* What the loader calls first. */
EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *interface) {
    interface->loaderLayerInterfaceVersion = 2;
    interface->pfnGetInstanceProcAddr = vkfault_instance_proc;
    interface->pfnGetDeviceProcAddr = vkfault_device_proc;
    interface->pfnGetPhysicalDeviceProcAddr = NULL;
    return VK_SUCCESS;
}
