"""Why guests cannot move or a host cannot be emptied.

Source of the codes: xapi ``ocaml/xapi/xapi_host.ml`` compute_evacuation_plan and
``ocaml/xapi/xapi_vm_helpers.ml`` assert_can_boot_here.
"""

from nova_aggregates.xenapi.codes.entry import Entry, Situation

_G = Situation.GUEST

ENTRIES = (
    Entry(
        "CANNOT_EVACUATE_HOST",
        _G,
        "The host cannot be emptied: {0}",
        "Each part names a guest and its reason.",
        "Remove the reasons, or shut these guests down.",
    ),
    Entry(
        "NO_HOSTS_AVAILABLE",
        Situation.CAPACITY,
        "No other host can take {0}",
        "All other members are disabled, or there are none.",
        "Enable another member, or add one.",
    ),
    Entry(
        "HOST_NOT_ENOUGH_FREE_MEMORY",
        Situation.CAPACITY,
        "No host has enough free memory: {params}",
        "The other members are full.",
        "Shut guests down, or add a host.",
    ),
    Entry(
        "HOST_NOT_ENOUGH_PCPUS",
        Situation.CAPACITY,
        "The guest needs {0} CPUs, the host has {1}",
        "The other members have fewer CPUs.",
        "Give the guest fewer CPUs, or use a bigger host.",
    ),
    Entry(
        "VM_REQUIRES_SR",
        _G,
        "{0} needs the storage {1}, which another host lacks",
        "A disk lies on local storage, or shared storage is not attached everywhere; a CD drive "
        "with a local image counts too.",
        "Attach the storage, move the disk, or eject the CD.",
    ),
    Entry(
        "VM_REQUIRES_NETWORK",
        _G,
        "{0} needs the network {1}, which another host lacks",
        "The network exists on some members only.",
        "Connect the network on all members.",
    ),
    Entry(
        "HOST_CANNOT_ATTACH_NETWORK",
        _G,
        "{0} cannot attach the network {1}",
        "The network exists on some members only, or its card is down.",
        "Connect the network on all members.",
    ),
    Entry(
        "VM_INCOMPATIBLE_WITH_THIS_HOST",
        _G,
        "{0} uses CPU features that {1} lacks: {2}",
        "The guest was started on a newer CPU than the pool now has in common.",
        "Restart the guest; it then uses the features that all members have.",
    ),
    Entry(
        "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION",
        _G,
        "{2} needs the virtual hardware version {3}, which {0} does not have ({1})",
        "The members have different releases.",
        "Finish the upgrade of the pool.",
    ),
    Entry(
        "VM_LACKS_FEATURE",
        _G,
        "{0} cannot be moved: its guest tools do not support it",
        "The guest tools are missing or do not run.",
        "Install the guest tools, or shut the guest down.",
    ),
    Entry(
        "VM_LACKS_FEATURE_SUSPEND",
        _G,
        "{0} cannot be suspended: its guest tools do not support it",
        "The guest tools are missing or do not run.",
        "Install the guest tools, or shut the guest down.",
    ),
    Entry(
        "VM_NON_SUSPENDABLE",
        _G,
        "{0} cannot be moved or suspended: {1}",
        "It has a device or a setting that forbids it.",
        "Remove it, or shut the guest down.",
    ),
    Entry(
        "VM_HAS_PCI_ATTACHED",
        _G,
        "{0} has a device of the host passed through",
        "Such a guest is bound to its host.",
        "Shut the guest down.",
    ),
    Entry(
        "VM_HAS_VGPU",
        _G,
        "{0} has a virtual GPU that cannot be moved",
        "The GPU, or its driver, does not support migration.",
        "Shut the guest down.",
    ),
    Entry(
        "VM_HAS_VUSBS",
        _G,
        "{0} has a USB device passed through",
        "Such a guest is bound to its host.",
        "Unplug the device, or shut the guest down.",
    ),
    Entry(
        "VM_HAS_SRIOV_VIF",
        _G,
        "{0} uses an SR-IOV network card",
        "Such a guest is bound to its host.",
        "Shut the guest down.",
    ),
    Entry(
        "VM_IS_IMMOBILE",
        _G,
        "{0} is marked as not to be moved",
        "Its platform:nomigrate is set, or nested virtualisation is on.",
        "Shut the guest down.",
    ),
    Entry(
        "OPERATION_BLOCKED",
        _G,
        "An administrator has blocked the operation on {0}: {1}",
        "A note in blocked_operations of the object.",
        "Ask the administrator, or remove the block.",
    ),
    Entry(
        "HOST_EVACUATE_VM_NOT_HA_PROTECTED",
        _G,
        "{0} runs without protection while high availability is on",
        "Unprotected guests are not moved then.",
        "Protect the guest, shut it down, or turn high availability off.",
    ),
    Entry(
        "VM_BAD_POWER_STATE",
        _G,
        "{0} is {2}, not {1}",
        "Its state changed meanwhile.",
        "Look at the guest, then try again.",
        retry_helps=True,
    ),
    Entry(
        "TOO_MANY_STORAGE_MIGRATES",
        Situation.BUSY,
        "The host already moves {0} guests with their disks",
        "There is a limit for each host.",
        "Wait until one has ended.",
        retry_helps=True,
    ),
)
