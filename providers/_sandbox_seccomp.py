"""Seccomp: which system calls a process may still make. A small BPF program, written by hand.

It denies by list: what libraries need differs from version to version; what an intruder needs does not.
"""

import ctypes
import errno
import os
import platform
import struct

_MACHINES = {"x86_64": (0xC000003E, 317, 0), "aarch64": (0xC00000B7, 277, 1)}
"""The kernel's name for the machine, its number of `seccomp`, and the column below."""
_SET_FILTER, _ALL_THREADS = 1, 1
_X32 = 0x40000000
"""From here on: calls of another ABI on x86_64, which nothing here uses."""
_CLONE_THREAD = 0x10000

_NONE = -1
_DENIED = {
    # the network
    "socket": (41, 198),
    "connect": (42, 203),
    "accept": (43, 202),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "bind": (49, 200),
    "listen": (50, 201),
    "socketpair": (53, 199),
    "accept4": (288, 242),
    "sendmmsg": (307, 269),
    # what would do other calls unseen
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # other programs
    "fork": (57, _NONE),
    "vfork": (58, _NONE),
    "execve": (59, 221),
    "execveat": (322, 281),
    # other processes
    "ptrace": (101, 117),
    "rt_sigqueueinfo": (129, 138),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "tkill": (200, 130),
    "sched_setaffinity": (203, 122),
    "ioprio_set": (251, 30),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "rt_tgsigqueueinfo": (297, 240),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "sched_setattr": (314, 274),
    "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    # memory and queues that all processes of a user share
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semtimedop": (220, 192),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # what Landlock leaves to anybody who owns a file
    "truncate": (76, 45),
    "chmod": (90, _NONE),
    "fchmod": (91, 52),
    "chown": (92, _NONE),
    "fchown": (93, 55),
    "lchown": (94, _NONE),
    "utime": (132, _NONE),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "utimes": (235, _NONE),
    "fchownat": (260, 54),
    "futimesat": (261, _NONE),
    "fchmodat": (268, 53),
    "utimensat": (280, 88),
    "fchmodat2": (452, 452),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    # the system itself, should the bot run as root
    "syslog": (103, 116),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "adjtimex": (159, 171),
    "chroot": (161, 51),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "mount": (165, 40),
    "umount2": (166, 39),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, _NONE),
    "ioperm": (173, _NONE),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "quotactl": (179, 60),
    "clock_settime": (227, 112),
    "kexec_load": (246, 104),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "perf_event_open": (298, 241),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "clock_adjtime": (305, 266),
    "setns": (308, 268),
    "finit_module": (313, 273),
    "kexec_file_load": (320, 294),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
}
"""By name: the numbers on x86_64 and on aarch64."""

# For ourselves alone: which argument must be which number.
_KILL, _TGKILL, _SETPRIORITY, _PRLIMIT = (62, 129), (234, 131), (141, 140), (302, 261)
_CLONE, _CLONE3 = (56, 220), (435, 435)

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL_PROCESS, _ALLOW, _ERROR = 0x80000000, 0x7FFF0000, 0x00050000
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
"""Where the kernel's record of a call has what."""
_DENY = _ERROR | errno.EPERM

_instruction = struct.Struct("=HBBI").pack


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def deny_calls(libc: ctypes.CDLL) -> bool:
    """Refuse them with EPERM from now on, in every thread. False where that cannot be had.

    `no_new_privs` must be set.
    """
    machine = platform.machine()
    if machine not in _MACHINES or struct.calcsize("P") != 8:  # noqa: PLR2004 - bytes of a pointer
        return False
    code = program(machine, os.getpid())
    filters = _Program(len(code) // 8, code)
    return libc.syscall(_MACHINES[machine][1], _SET_FILTER, _ALL_THREADS, ctypes.byref(filters)) == 0


def program(machine: str, pid: int) -> bytes:
    """What decides about each call of the process `pid`."""
    name, _, column = _MACHINES[machine]
    code = [
        _instruction(_LOAD, 0, 0, _MACHINE),
        _instruction(_EQUAL, 1, 0, name),
        _instruction(_RETURN, 0, 0, _KILL_PROCESS),
        _instruction(_LOAD, 0, 0, _NUMBER),
        _instruction(_AT_LEAST, 0, 1, _X32),
        _instruction(_RETURN, 0, 0, _DENY),
    ]
    for numbers in _DENIED.values():
        if numbers[column] != _NONE:
            code += _if_called(numbers[column], _instruction(_RETURN, 0, 0, _DENY))
    for numbers, argument, only in (
        (_KILL, 0, pid),
        (_TGKILL, 0, pid),
        (_SETPRIORITY, 1, 0),
        (_PRLIMIT, 0, 0),
    ):
        code += _if_called(numbers[column], *_allow_if(argument, _EQUAL, only))
    # A new thread, but no new process. The newer call has its flags where no program can look: glibc then
    # takes the older one.
    code += _if_called(_CLONE[column], *_allow_if(0, _ANY_BIT, _CLONE_THREAD))
    code += _if_called(_CLONE3[column], _instruction(_RETURN, 0, 0, _ERROR | errno.ENOSYS))
    return b"".join([*code, _instruction(_RETURN, 0, 0, _ALLOW)])


def _if_called(number: int, *then: bytes) -> list[bytes]:
    return [_instruction(_EQUAL, 0, len(then), number), *then]


def _allow_if(argument: int, test: int, value: int) -> list[bytes]:
    """By an argument's lower half: those in question have 32 bits that matter."""
    return [
        _instruction(_LOAD, 0, 0, _ARGUMENTS + 8 * argument),
        _instruction(test, 0, 1, value),
        _instruction(_RETURN, 0, 0, _ALLOW),
        _instruction(_RETURN, 0, 0, _DENY),
    ]
