# SPDX-License-Identifier: Apache-2.0
"""What include/muse/*.h declare, for ctypes. Written by make_native.py: do not edit."""
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_size_t, c_uint, c_uint8,
                    c_uint32, c_uint64, c_void_p)
from typing import Any

MUSE_ABI_VERSION = 0
MUSE_BUDGET_AUTO = 4294967295
MUSE_BUDGET_DEFAULT = 0
MUSE_REASON_NONE = 4294967295
MUSE_OK = 0
MUSE_AGAIN = 1
MUSE_DONE = 2
MUSE_ERR_ARG = -1
MUSE_ERR_NOMEM = -2
MUSE_ERR_IO = -3
MUSE_ERR_FORMAT = -4
MUSE_ERR_UNSUPPORTED = -5
MUSE_ERR_LIMIT = -6
MUSE_ERR_CANCELLED = -7
MUSE_ERR_FULL = -8
MUSE_ERR_STATE = -9
MUSE_ERR_NOT_FOUND = -10

MUSE_ERROR_TEXT = 512


class MuseError(Structure):
    code: int
    text: Any
    _fields_ = [
        ("code", c_int),
        ("text", c_char * MUSE_ERROR_TEXT),
    ]


class MuseRuntime(Structure):
    pass


class MuseAllocator(Structure):
    alloc: Any
    free: Any
    user: Any
    _fields_ = [
        ("alloc", CFUNCTYPE(c_void_p, c_void_p, c_size_t)),
        ("free", CFUNCTYPE(None, c_void_p, c_void_p)),
        ("user", c_void_p),
    ]

MuseCancelFn = CFUNCTYPE(c_int, c_void_p)
MuseReleaseFn = CFUNCTYPE(None, c_void_p)
MUSE_LOG_NONE = 0
MUSE_LOG_WARN = 1
MUSE_LOG_INFO = 2
MUSE_LOG_DEBUG = 3

MuseLogFn = CFUNCTYPE(None, c_void_p, c_int, POINTER(c_char))
MUSE_CPU_AUTO = 0
MUSE_CPU_C = 1
MUSE_CPU_AVX2 = 2
MUSE_CPU_AVX512 = 3
MUSE_CPU_AMX = 4

MUSE_COMPUTE_AUTO = 0
MUSE_COMPUTE_F32 = 1
MUSE_COMPUTE_BF16 = 2
MUSE_COMPUTE_INT8 = 3


class MuseRuntimeParams(Structure):
    struct_size: int
    allocator: MuseAllocator
    log: Any
    log_user: Any
    log_level: int
    threads: int
    cpu_level: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("allocator", MuseAllocator),
        ("log", MuseLogFn),
        ("log_user", c_void_p),
        ("log_level", c_int),
        ("threads", c_uint32),
        ("cpu_level", c_uint32),
    ]


class MuseRuntimeInfo(Structure):
    threads: int
    cpu_level: int
    cpu_best: int
    cpu_level_name: Any
    onednn_version: Any
    _fields_ = [
        ("threads", c_uint32),
        ("cpu_level", c_uint32),
        ("cpu_best", c_uint32),
        ("cpu_level_name", POINTER(c_char)),
        ("onednn_version", POINTER(c_char)),
    ]

MUSE_IMAGE_NONE = 0
MUSE_IMAGE_FILL = 1
MUSE_IMAGE_FIT = 2
MUSE_IMAGE_FILL_EXACT = 3

MUSE_FILTER_BOX = 1
MUSE_FILTER_BILINEAR = 2
MUSE_FILTER_BICUBIC = 3

MUSE_PRECISION_TORCH = 0
MUSE_PRECISION_PILLOW = 1

MUSE_ALPHA_OVER = 0
MUSE_ALPHA_DROP = 1

MUSE_BUDGETS_MAX = 8


class MuseImageRule(Structure):
    struct_size: int
    kind: int
    unit: int
    budgets: Any
    budget: int
    max_width: int
    max_height: int
    filter: int
    precision: int
    alpha: int
    background: Any
    pad: int
    scale: float
    offset: float
    _fields_ = [
        ("struct_size", c_size_t),
        ("kind", c_uint32),
        ("unit", c_uint32),
        ("budgets", c_uint32 * MUSE_BUDGETS_MAX),
        ("budget", c_uint32),
        ("max_width", c_uint32),
        ("max_height", c_uint32),
        ("filter", c_uint32),
        ("precision", c_uint32),
        ("alpha", c_uint32),
        ("background", c_uint8 * 3),
        ("pad", c_uint8),
        ("scale", c_float),
        ("offset", c_float),
    ]

MUSE_AUDIO_NONE = 0
MUSE_AUDIO_RAW = 1
MUSE_AUDIO_LOGMEL = 2

MUSE_MEL_FLOOR_FIXED = 0
MUSE_MEL_FLOOR_GLOBAL = 1


class MuseAudioRule(Structure):
    struct_size: int
    kind: int
    rate: int
    frame_samples: int
    window: int
    hop: int
    mel_bins: int
    stack: int
    floor_rule: int
    floor_db: float
    max_seconds: float
    _fields_ = [
        ("struct_size", c_size_t),
        ("kind", c_uint32),
        ("rate", c_uint32),
        ("frame_samples", c_uint32),
        ("window", c_uint32),
        ("hop", c_uint32),
        ("mel_bins", c_uint32),
        ("stack", c_uint32),
        ("floor_rule", c_uint32),
        ("floor_db", c_float),
        ("max_seconds", c_float),
    ]


class MuseMarker(Structure):
    text: Any
    id: int
    _fields_ = [
        ("text", POINTER(c_char)),
        ("id", c_int32),
    ]


class MuseFamily(Structure):
    name: Any
    image: MuseImageRule
    image_begin: MuseMarker
    image_soft: MuseMarker
    image_end: MuseMarker
    image_row_end: MuseMarker
    audio: MuseAudioRule
    audio_begin: MuseMarker
    audio_soft: MuseMarker
    audio_end: MuseMarker
    text_begin: MuseMarker
    _fields_ = [
        ("name", POINTER(c_char)),
        ("image", MuseImageRule),
        ("image_begin", MuseMarker),
        ("image_soft", MuseMarker),
        ("image_end", MuseMarker),
        ("image_row_end", MuseMarker),
        ("audio", MuseAudioRule),
        ("audio_begin", MuseMarker),
        ("audio_soft", MuseMarker),
        ("audio_end", MuseMarker),
        ("text_begin", MuseMarker),
    ]


class MuseTextTokenizer(Structure):
    pass


class MuseTextDecoder(Structure):
    pass


class MuseTextInfo(Structure):
    algorithm: Any
    vocab_size: int
    n_added: int
    bos: int
    eos: int
    unk: int
    pad: int
    add_bos: int
    memory_bytes: int
    _fields_ = [
        ("algorithm", POINTER(c_char)),
        ("vocab_size", c_uint32),
        ("n_added", c_uint32),
        ("bos", c_int32),
        ("eos", c_int32),
        ("unk", c_int32),
        ("pad", c_int32),
        ("add_bos", c_int),
        ("memory_bytes", c_size_t),
    ]

MUSE_TEXT_ADDED = 1
MUSE_TEXT_BOS = 2

MUSE_TEXT_SKIP_SPECIAL = 1
MUSE_TEXT_CONTINUE = 2


class MuseTextTrainParams(Structure):
    struct_size: int
    vocab_size: int
    added: Any
    n_added: int
    min_count: int
    pattern: Any
    progress: Any
    progress_user: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("vocab_size", c_uint32),
        ("added", POINTER(c_char_p)),
        ("n_added", c_size_t),
        ("min_count", c_uint32),
        ("pattern", POINTER(c_char)),
        ("progress", CFUNCTYPE(c_int, c_void_p, c_uint32, c_uint32)),
        ("progress_user", c_void_p),
    ]


class MuseImage(Structure):
    pass


class MusePatches(Structure):
    pass


class MuseRect(Structure):
    x0: float
    y0: float
    x1: float
    y1: float
    _fields_ = [
        ("x0", c_double),
        ("y0", c_double),
        ("x1", c_double),
        ("y1", c_double),
    ]

MUSE_KEEP_ENCODED = 0
MUSE_KEEP_PIXELS = 1


class MuseImageParams(Structure):
    struct_size: int
    max_pixels: int
    max_bytes: int
    keep: int
    ignore_orientation: int
    borrow: int
    cancel: Any
    cancel_user: Any
    release: Any
    release_user: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("max_pixels", c_uint64),
        ("max_bytes", c_uint64),
        ("keep", c_uint32),
        ("ignore_orientation", c_int),
        ("borrow", c_int),
        ("cancel", MuseCancelFn),
        ("cancel_user", c_void_p),
        ("release", MuseReleaseFn),
        ("release_user", c_void_p),
    ]

MUSE_PIXELS_RGB = 3
MUSE_PIXELS_RGBA = 4
MUSE_PIXELS_GREY = 1


class MuseImageInfo(Structure):
    width: int
    height: int
    format: Any
    orientation: int
    bits: int
    channels: int
    has_alpha: int
    is_cmyk: int
    source: MuseRect
    _fields_ = [
        ("width", c_uint32),
        ("height", c_uint32),
        ("format", POINTER(c_char)),
        ("orientation", c_uint32),
        ("bits", c_uint32),
        ("channels", c_uint32),
        ("has_alpha", c_int),
        ("is_cmyk", c_int),
        ("source", MuseRect),
    ]


class MuseImagePlan(Structure):
    width: int
    height: int
    used_width: int
    used_height: int
    grid_width: int
    grid_height: int
    n_patches: int
    unit: int
    budget: int
    scale_x: float
    scale_y: float
    resized: int
    _fields_ = [
        ("width", c_uint32),
        ("height", c_uint32),
        ("used_width", c_uint32),
        ("used_height", c_uint32),
        ("grid_width", c_uint32),
        ("grid_height", c_uint32),
        ("n_patches", c_uint32),
        ("unit", c_uint32),
        ("budget", c_uint32),
        ("scale_x", c_double),
        ("scale_y", c_double),
        ("resized", c_int),
    ]


class MuseAudio(Structure):
    pass


class MuseFrames(Structure):
    pass


class MuseAudioFeed(Structure):
    pass


class MuseAudioParams(Structure):
    struct_size: int
    max_seconds: float
    max_bytes: int
    borrow: int
    release: Any
    release_user: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("max_seconds", c_double),
        ("max_bytes", c_uint64),
        ("borrow", c_int),
        ("release", MuseReleaseFn),
        ("release_user", c_void_p),
    ]

MUSE_PCM_S16 = 1
MUSE_PCM_F32 = 2


class MuseAudioInfo(Structure):
    n_samples: int
    rate: int
    channels: int
    seconds: float
    format: Any
    _fields_ = [
        ("n_samples", c_uint64),
        ("rate", c_uint32),
        ("channels", c_uint32),
        ("seconds", c_double),
        ("format", POINTER(c_char)),
    ]


class MuseAudioPlan(Structure):
    n_used: int
    n_frames: int
    frame_width: int
    ms_per_frame: float
    too_long: int
    _fields_ = [
        ("n_used", c_uint64),
        ("n_frames", c_uint64),
        ("frame_width", c_uint32),
        ("ms_per_frame", c_double),
        ("too_long", c_int),
    ]


class MuseSequence(Structure):
    pass

MUSE_TEXT = 0
MUSE_IMAGE = 1
MUSE_AUDIO = 2
MUSE_ROWS = 3


class MuseSequenceParams(Structure):
    struct_size: int
    family_name: Any
    family: Any
    tokenizer: Any
    max_positions: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("family_name", POINTER(c_char)),
        ("family", POINTER(MuseFamily)),
        ("tokenizer", POINTER(MuseTextTokenizer)),
        ("max_positions", c_uint64),
    ]


class MuseImageOptions(Structure):
    struct_size: int
    budget: int
    cancel: Any
    cancel_user: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("budget", c_uint32),
        ("cancel", MuseCancelFn),
        ("cancel_user", c_void_p),
    ]


class MusePosition(Structure):
    modality: int
    is_marker: int
    id: int
    span: int
    index: int
    t: int
    y: int
    x: int
    source: MuseRect
    start_ms: float
    end_ms: float
    bytes: Any
    n_bytes: int
    _fields_ = [
        ("modality", c_int),
        ("is_marker", c_int),
        ("id", c_int32),
        ("span", c_uint32),
        ("index", c_uint32),
        ("t", c_int32),
        ("y", c_int32),
        ("x", c_int32),
        ("source", MuseRect),
        ("start_ms", c_double),
        ("end_ms", c_double),
        ("bytes", POINTER(c_char)),
        ("n_bytes", c_size_t),
    ]


class MuseSpanInfo(Structure):
    modality: int
    is_placeholder: int
    first: int
    count: int
    n_features: int
    feature_width: int
    hash: Any
    image: MuseImagePlan
    region: MuseRect
    number: int
    audio: MuseAudioPlan
    _fields_ = [
        ("modality", c_int),
        ("is_placeholder", c_int),
        ("first", c_size_t),
        ("count", c_size_t),
        ("n_features", c_size_t),
        ("feature_width", c_size_t),
        ("hash", c_uint8 * 32),
        ("image", MuseImagePlan),
        ("region", MuseRect),
        ("number", c_uint32),
        ("audio", MuseAudioPlan),
    ]


class MuseDrawParams(Structure):
    struct_size: int
    max_width: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("max_width", c_uint32),
    ]


class MuseModel(Structure):
    pass

MUSE_WEIGHTS_FILES = 0
MUSE_WEIGHTS_RANDOM = 1
MUSE_WEIGHTS_NONE = 2


class MuseModelParams(Structure):
    struct_size: int
    mmproj: Any
    weights: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("mmproj", POINTER(c_char)),
        ("weights", c_uint32),
    ]


class MuseModelInfo(Structure):
    family: Any
    format: Any
    takes_images: int
    takes_audio: int
    n_layers: int
    n_windowed: int
    window: int
    width: int
    ffn: int
    vocab: int
    heads: int
    kv_heads: int
    head_width: int
    tied: int
    context_limit: int
    n_parameters: int
    weights_bytes: int
    file_bytes: int
    n_tensors: int
    n_unused: int
    n_files: int
    bos: int
    pad: int
    eos: Any
    n_eos: int
    suppressed: Any
    n_suppressed: int
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition: float
    _fields_ = [
        ("family", POINTER(c_char)),
        ("format", POINTER(c_char)),
        ("takes_images", c_int),
        ("takes_audio", c_int),
        ("n_layers", c_uint32),
        ("n_windowed", c_uint32),
        ("window", c_uint32),
        ("width", c_uint32),
        ("ffn", c_uint32),
        ("vocab", c_uint32),
        ("heads", c_uint32),
        ("kv_heads", c_uint32),
        ("head_width", c_uint32),
        ("tied", c_int),
        ("context_limit", c_uint64),
        ("n_parameters", c_uint64),
        ("weights_bytes", c_uint64),
        ("file_bytes", c_uint64),
        ("n_tensors", c_size_t),
        ("n_unused", c_size_t),
        ("n_files", c_size_t),
        ("bos", c_int32),
        ("pad", c_int32),
        ("eos", POINTER(c_int32)),
        ("n_eos", c_size_t),
        ("suppressed", POINTER(c_int32)),
        ("n_suppressed", c_size_t),
        ("temperature", c_float),
        ("top_p", c_float),
        ("top_k", c_uint32),
        ("min_p", c_float),
        ("repetition", c_float),
    ]


class MuseModelType(Structure):
    name: Any
    n_tensors: int
    n_values: int
    bytes: int
    _fields_ = [
        ("name", POINTER(c_char)),
        ("n_tensors", c_size_t),
        ("n_values", c_uint64),
        ("bytes", c_uint64),
    ]


class MuseTensorInfo(Structure):
    name: Any
    type: Any
    file: Any
    rank: int
    shape: Any
    bytes: int
    _fields_ = [
        ("name", POINTER(c_char)),
        ("type", POINTER(c_char)),
        ("file", POINTER(c_char)),
        ("rank", c_uint32),
        ("shape", c_uint64 * 4),
        ("bytes", c_uint64),
    ]


class MuseModelMemory(Structure):
    positions: int
    weights: int
    kv_16: int
    kv_8: int
    workspace: int
    _fields_ = [
        ("positions", c_uint64),
        ("weights", c_uint64),
        ("kv_16", c_uint64),
        ("kv_8", c_uint64),
        ("workspace", c_uint64),
    ]


class MuseSession(Structure):
    pass


class MusePrefixCache(Structure):
    pass

MUSE_KV_AUTO = 0
MUSE_KV_F32 = 1
MUSE_KV_BF16 = 2
MUSE_KV_Q8 = 3

MUSE_IMAGE_MASK_DEFAULT = 0
MUSE_IMAGE_MASK_A = 1
MUSE_IMAGE_MASK_B = 2
MUSE_IMAGE_MASK_CAUSAL = 3

MuseProgressFn = CFUNCTYPE(c_int, c_void_p, c_uint64, c_uint64)
MuseStageSeenFn = CFUNCTYPE(None, c_void_p, POINTER(c_char), c_size_t, POINTER(c_float), c_size_t, c_size_t)

class MuseSessionParams(Structure):
    struct_size: int
    compute: int
    kv: int
    image_mask: int
    chunk: int
    max_positions: int
    cache: Any
    progress: Any
    progress_user: Any
    stage: Any
    stage_user: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("compute", c_uint32),
        ("kv", c_uint32),
        ("image_mask", c_uint32),
        ("chunk", c_uint32),
        ("max_positions", c_uint64),
        ("cache", POINTER(MusePrefixCache)),
        ("progress", MuseProgressFn),
        ("progress_user", c_void_p),
        ("stage", MuseStageSeenFn),
        ("stage_user", c_void_p),
    ]


class MuseSessionInfo(Structure):
    positions: int
    computed: int
    reused: int
    kv_bytes: int
    kv_own_bytes: int
    workspace_bytes: int
    compute: int
    kv: int
    _fields_ = [
        ("positions", c_uint64),
        ("computed", c_uint64),
        ("reused", c_uint64),
        ("kv_bytes", c_uint64),
        ("kv_own_bytes", c_uint64),
        ("workspace_bytes", c_uint64),
        ("compute", c_uint32),
        ("kv", c_uint32),
    ]


class MusePrefixCacheInfo(Structure):
    entries: int
    bytes: int
    lookups: int
    hits: int
    positions: int
    _fields_ = [
        ("entries", c_uint64),
        ("bytes", c_uint64),
        ("lookups", c_uint64),
        ("hits", c_uint64),
        ("positions", c_uint64),
    ]


class MuseChat(Structure):
    pass


class MuseChatParser(Structure):
    pass

MUSE_ROLE_SYSTEM = 1
MUSE_ROLE_USER = 2
MUSE_ROLE_ASSISTANT = 3
MUSE_ROLE_TOOL = 4

MUSE_THINKING_DEFAULT = 0
MUSE_THINKING_ON = 1
MUSE_THINKING_OFF = 2


class MuseChatParams(Structure):
    struct_size: int
    format: Any
    thinking: int
    preserve_thinking: int
    no_generation: int
    no_default_system: int
    date: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("format", POINTER(c_char)),
        ("thinking", c_int),
        ("preserve_thinking", c_int),
        ("no_generation", c_int),
        ("no_default_system", c_int),
        ("date", POINTER(c_char)),
    ]

MUSE_SEGMENT_CONTROL = 0
MUSE_SEGMENT_TEXT = 1
MUSE_SEGMENT_IMAGE = 2
MUSE_SEGMENT_AUDIO = 3


class MuseChatSegment(Structure):
    kind: int
    generated: int
    message: int
    text: Any
    n: int
    image: Any
    budget: int
    audio: Any
    _fields_ = [
        ("kind", c_int),
        ("generated", c_int),
        ("message", c_size_t),
        ("text", POINTER(c_char)),
        ("n", c_size_t),
        ("image", POINTER(MuseImage)),
        ("budget", c_uint32),
        ("audio", POINTER(MuseAudio)),
    ]

MUSE_CHAT_THOUGHT = 1
MUSE_CHAT_ANSWER = 2
MUSE_CHAT_TOKEN = 3
MUSE_CHAT_CALL = 4
MUSE_CHAT_BAD_CALL = 5
MUSE_CHAT_END = 6

MUSE_CHAT_STOP = 1
MUSE_CHAT_TOOLS = 2
MUSE_CHAT_CUT = 3


class MuseChatItem(Structure):
    kind: int
    thought: int
    reason: int
    text: Any
    n: int
    name: Any
    arguments: Any
    n_arguments: int
    error: Any
    _fields_ = [
        ("kind", c_int),
        ("thought", c_int),
        ("reason", c_int),
        ("text", POINTER(c_char)),
        ("n", c_size_t),
        ("name", POINTER(c_char)),
        ("arguments", POINTER(c_char)),
        ("n_arguments", c_size_t),
        ("error", POINTER(c_char)),
    ]

MuseConvertProgressFn = CFUNCTYPE(None, c_void_p, c_uint64, c_uint64, POINTER(c_char))

class MuseConvertParams(Structure):
    struct_size: int
    type: Any
    mmproj: Any
    shard_bytes: int
    progress: Any
    progress_user: Any
    cancel: Any
    cancel_user: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("type", POINTER(c_char)),
        ("mmproj", POINTER(c_char)),
        ("shard_bytes", c_uint64),
        ("progress", MuseConvertProgressFn),
        ("progress_user", c_void_p),
        ("cancel", MuseCancelFn),
        ("cancel_user", c_void_p),
    ]


class MuseConvertInfo(Structure):
    n_tensors: int
    n_kept: int
    bytes_in: int
    bytes_out: int
    n_files: int
    _fields_ = [
        ("n_tensors", c_uint64),
        ("n_kept", c_uint64),
        ("bytes_in", c_uint64),
        ("bytes_out", c_uint64),
        ("n_files", c_uint64),
    ]


class MuseGrammar(Structure):
    pass

MUSE_GRAMMAR_COMPACT = 0
MUSE_GRAMMAR_SPACED = 1
MUSE_GRAMMAR_FREE = 2

MUSE_GRAMMAR_STATES_MAX = 65536
MUSE_GRAMMAR_DEPTH_MAX = 256


class MuseGrammarParams(Structure):
    struct_size: int
    end_ids: Any
    n_end: int
    space: int
    mask_bytes: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("end_ids", POINTER(c_int32)),
        ("n_end", c_size_t),
        ("space", c_uint32),
        ("mask_bytes", c_size_t),
    ]


class MuseGrammarInfo(Structure):
    n_states: int
    n_rules: int
    n_masks: int
    masks_max: int
    memory_bytes: int
    _fields_ = [
        ("n_states", c_uint32),
        ("n_rules", c_uint32),
        ("n_masks", c_uint32),
        ("masks_max", c_uint32),
        ("memory_bytes", c_size_t),
    ]


class MuseSampler(Structure):
    pass


class MuseStop(Structure):
    pass


class MuseSampleParams(Structure):
    struct_size: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition: float
    presence: float
    frequency: float
    penalty_last: int
    seed: int
    suppress: Any
    n_suppress: int
    grammar: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("temperature", c_float),
        ("top_k", c_uint32),
        ("top_p", c_float),
        ("min_p", c_float),
        ("repetition", c_float),
        ("presence", c_float),
        ("frequency", c_float),
        ("penalty_last", c_uint32),
        ("seed", c_uint64),
        ("suppress", POINTER(c_int32)),
        ("n_suppress", c_size_t),
        ("grammar", POINTER(MuseGrammar)),
    ]


class MuseSampled(Structure):
    id: int
    logprob: float
    sampled_logprob: float
    _fields_ = [
        ("id", c_int32),
        ("logprob", c_float),
        ("sampled_logprob", c_float),
    ]


class MuseStopHit(Structure):
    string: int
    used: int
    _fields_ = [
        ("string", c_size_t),
        ("used", c_size_t),
    ]

MUSE_FINISH_NONE = 0
MUSE_FINISH_ID = 1
MUSE_FINISH_STRING = 2
MUSE_FINISH_LENGTH = 3
MUSE_FINISH_FULL = 4
MUSE_FINISH_GRAMMAR = 5
MUSE_FINISH_CANCELLED = 6


class MuseGenerated(Structure):
    index: int
    id: int
    logprob: float
    text: Any
    n_text: int
    _fields_ = [
        ("index", c_size_t),
        ("id", c_int32),
        ("logprob", c_float),
        ("text", POINTER(c_char)),
        ("n_text", c_size_t),
    ]

MuseGenerateFn = CFUNCTYPE(c_int, c_void_p, POINTER(MuseGenerated))

class MuseGenerateParams(Structure):
    struct_size: int
    sampler: Any
    sample: Any
    suppress: Any
    n_suppress: int
    max_tokens: int
    stop_ids: Any
    n_stop_ids: int
    chat_format: Any
    stop: Any
    stop_sizes: Any
    n_stop: int
    token: Any
    token_user: Any
    cancel: Any
    cancel_user: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("sampler", POINTER(MuseSampler)),
        ("sample", POINTER(MuseSampleParams)),
        ("suppress", POINTER(c_int32)),
        ("n_suppress", c_size_t),
        ("max_tokens", c_uint64),
        ("stop_ids", POINTER(c_int32)),
        ("n_stop_ids", c_size_t),
        ("chat_format", POINTER(c_char)),
        ("stop", POINTER(c_char_p)),
        ("stop_sizes", POINTER(c_size_t)),
        ("n_stop", c_size_t),
        ("token", MuseGenerateFn),
        ("token_user", c_void_p),
        ("cancel", MuseCancelFn),
        ("cancel_user", c_void_p),
    ]


class MuseGenerateResult(Structure):
    finish: int
    stop: int
    ids: Any
    logprobs: Any
    n: int
    text: Any
    n_text: int
    prompt_tokens: int
    _fields_ = [
        ("finish", c_int),
        ("stop", c_size_t),
        ("ids", POINTER(c_int32)),
        ("logprobs", POINTER(c_float)),
        ("n", c_size_t),
        ("text", POINTER(c_char)),
        ("n_text", c_size_t),
        ("prompt_tokens", c_uint64),
    ]


class MuseStream(Structure):
    pass


class MuseLimits(Structure):
    read_gbs: float
    fma_f32_gflops: float
    dot_bf16_gflops: float
    dot_int8_gops: float
    amx_bf16_gflops: float
    amx_int8_gops: float
    _fields_ = [
        ("read_gbs", c_double),
        ("fma_f32_gflops", c_double),
        ("dot_bf16_gflops", c_double),
        ("dot_int8_gops", c_double),
        ("amx_bf16_gflops", c_double),
        ("amx_int8_gops", c_double),
    ]


class MuseTrace(Structure):
    pass


class MuseCoords(Structure):
    frame: MuseRect
    units_x: float
    units_y: float
    whole: int
    y_first: int
    _fields_ = [
        ("frame", MuseRect),
        ("units_x", c_double),
        ("units_y", c_double),
        ("whole", c_int),
        ("y_first", c_int),
    ]

MUSE_STEP_THOUGHT = 0
MUSE_STEP_LOOK = 1
MUSE_STEP_BOX = 2
MUSE_STEP_POINT = 3
MUSE_STEP_CLAIM = 4
MUSE_STEP_COMPARE = 5
MUSE_STEP_TRACK = 6
MUSE_STEP_VERIFY = 7
MUSE_STEP_TOOL_CALL = 8
MUSE_STEP_TOOL_RESULT = 9
MUSE_STEP_ANSWER = 10
MUSE_STEP_END = 11
MUSE_STEP_KINDS = 12


class MuseTraceMark(Structure):
    image: int
    object: int
    rect: MuseRect
    _fields_ = [
        ("image", c_uint32),
        ("object", c_uint32),
        ("rect", MuseRect),
    ]


class MuseTraceHeat(Structure):
    image: int
    width: int
    height: int
    rect: MuseRect
    values: Any
    _fields_ = [
        ("image", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("rect", MuseRect),
        ("values", POINTER(c_float)),
    ]


class MuseTraceStep(Structure):
    struct_size: int
    kind: int
    agent: int
    parent: int
    n_marks: int
    text: Any
    n_text: int
    marks: Any
    heats: Any
    n_heats: int
    first_token: int
    n_tokens: int
    confidence: float
    start: float
    end: float
    done: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("kind", c_uint32),
        ("agent", c_uint32),
        ("parent", c_uint32),
        ("n_marks", c_uint32),
        ("text", POINTER(c_char)),
        ("n_text", c_size_t),
        ("marks", POINTER(MuseTraceMark)),
        ("heats", POINTER(MuseTraceHeat)),
        ("n_heats", c_size_t),
        ("first_token", c_uint64),
        ("n_tokens", c_uint64),
        ("confidence", c_double),
        ("start", c_double),
        ("end", c_double),
        ("done", c_int),
    ]

MUSE_TRACE_BEGUN = 0
MUSE_TRACE_TEXT = 1
MUSE_TRACE_DONE = 2
MUSE_TRACE_END = 3

MuseTraceFn = CFUNCTYPE(None, c_void_p, POINTER(MuseTrace), c_int, c_uint32, POINTER(c_char), c_size_t)

class MuseTraceParams(Structure):
    struct_size: int
    question: Any
    model: Any
    mode: Any
    fn: Any
    user: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("question", POINTER(c_char)),
        ("model", POINTER(c_char)),
        ("mode", POINTER(c_char)),
        ("fn", MuseTraceFn),
        ("user", c_void_p),
    ]


class MuseTraceSummary(Structure):
    struct_size: int
    answer: Any
    n_answer: int
    confidence: float
    prompt_tokens: int
    thought_tokens: int
    look_tokens: int
    answer_tokens: int
    seconds: float
    _fields_ = [
        ("struct_size", c_size_t),
        ("answer", POINTER(c_char)),
        ("n_answer", c_size_t),
        ("confidence", c_double),
        ("prompt_tokens", c_uint64),
        ("thought_tokens", c_uint64),
        ("look_tokens", c_uint64),
        ("answer_tokens", c_uint64),
        ("seconds", c_double),
    ]


class MuseTraceImage(Structure):
    name: Any
    rect: MuseRect
    image: Any
    _fields_ = [
        ("name", POINTER(c_char)),
        ("rect", MuseRect),
        ("image", POINTER(MuseImage)),
    ]


class MuseTraceDrawParams(Structure):
    struct_size: int
    max_width: int
    step: int
    agent: int
    no_list: int
    heat: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("max_width", c_uint32),
        ("step", c_uint32),
        ("agent", c_uint32),
        ("no_list", c_int),
        ("heat", c_int),
    ]


class MuseTraceHtmlParams(Structure):
    struct_size: int
    max_side: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("max_side", c_uint32),
    ]


class MuseWatchParams(Structure):
    struct_size: int
    image: int
    first: int
    n: int
    layers: Any
    n_layers: int
    heads: Any
    n_heads: int
    weights: Any
    n_weights: int
    _fields_ = [
        ("struct_size", c_size_t),
        ("image", c_uint32),
        ("first", c_uint64),
        ("n", c_uint64),
        ("layers", POINTER(c_uint32)),
        ("n_layers", c_size_t),
        ("heads", POINTER(c_uint32)),
        ("n_heads", c_size_t),
        ("weights", POINTER(c_float)),
        ("n_weights", c_size_t),
    ]


class MuseWatched(Structure):
    position: int
    tokens: int
    first: int
    n: int
    n_layers: int
    n_heads: int
    weights: Any
    mean: Any
    _fields_ = [
        ("position", c_uint64),
        ("tokens", c_uint64),
        ("first", c_uint64),
        ("n", c_uint64),
        ("n_layers", c_size_t),
        ("n_heads", c_size_t),
        ("weights", POINTER(c_float)),
        ("mean", POINTER(c_double)),
    ]


class MuseTools(Structure):
    pass


class MuseToolReply(Structure):
    pass

MuseToolFn = CFUNCTYPE(c_int, c_void_p, POINTER(c_char), c_size_t, POINTER(MuseToolReply), POINTER(MuseError))

class MuseToolSpec(Structure):
    struct_size: int
    name: Any
    description: Any
    parameters: Any
    fn: Any
    user: Any
    timeout: float
    release: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("name", POINTER(c_char)),
        ("description", POINTER(c_char)),
        ("parameters", POINTER(c_char)),
        ("fn", MuseToolFn),
        ("user", c_void_p),
        ("timeout", c_double),
        ("release", MuseReleaseFn),
    ]


class MuseToolCall(Structure):
    name: Any
    arguments: Any
    n_arguments: int
    _fields_ = [
        ("name", POINTER(c_char)),
        ("arguments", POINTER(c_char)),
        ("n_arguments", c_size_t),
    ]


class MuseToolPart(Structure):
    text: Any
    n: int
    image: Any
    _fields_ = [
        ("text", POINTER(c_char)),
        ("n", c_size_t),
        ("image", POINTER(MuseImage)),
    ]


class MuseAgent(Structure):
    pass


class MuseReasonPart(Structure):
    modality: int
    text: Any
    n: int
    image: Any
    budget: int
    audio: Any
    _fields_ = [
        ("modality", c_int),
        ("text", POINTER(c_char)),
        ("n", c_size_t),
        ("image", POINTER(MuseImage)),
        ("budget", c_uint32),
        ("audio", POINTER(MuseAudio)),
    ]

MUSE_REASON_POINT = 1
MUSE_REASON_BOX = 2
MUSE_REASON_LOOK = 3
MUSE_REASON_COMPARE = 4
MUSE_REASON_VERIFY = 5
MUSE_REASON_IMAGE = 6
MUSE_REASON_CALL = 7
MUSE_REASON_CLOSED = 8
MUSE_REASON_BAD = 9
MUSE_REASON_DOUBT = 10


class MuseReasonStep(Structure):
    kind: int
    refused: int
    forced: int
    image: int
    shown: int
    group: int
    rect: MuseRect
    view: MuseRect
    token: int
    position: int
    text: Any
    n_text: int
    reason: Any
    _fields_ = [
        ("kind", c_int),
        ("refused", c_int),
        ("forced", c_int),
        ("image", c_uint32),
        ("shown", c_uint32),
        ("group", c_uint32),
        ("rect", MuseRect),
        ("view", MuseRect),
        ("token", c_size_t),
        ("position", c_size_t),
        ("text", POINTER(c_char)),
        ("n_text", c_size_t),
        ("reason", POINTER(c_char)),
    ]

MUSE_AGENT_RUNNING = 0
MUSE_AGENT_ANSWERED = 1
MUSE_AGENT_LENGTH = 2
MUSE_AGENT_FULL = 3
MUSE_AGENT_CALLS = 4
MUSE_AGENT_STOPPED = 5

MUSE_EVENT_TOKEN = 1
MUSE_EVENT_STEP = 2
MUSE_EVENT_DONE = 3
MUSE_EVENT_STAGE = 4

MUSE_STAGE_PREFILL = 1
MUSE_STAGE_THINK = 2
MUSE_STAGE_VERIFY = 3
MUSE_STAGE_SCORE = 4
MUSE_STAGE_SYNTHESIS = 5


class MuseReasonEvent(Structure):
    kind: int
    stage: int
    agent: int
    id: int
    step: Any
    index: int
    tokens: int
    done: int
    agents: int
    _fields_ = [
        ("kind", c_int),
        ("stage", c_int),
        ("agent", c_uint32),
        ("id", c_int32),
        ("step", POINTER(MuseReasonStep)),
        ("index", c_size_t),
        ("tokens", c_uint64),
        ("done", c_size_t),
        ("agents", c_size_t),
    ]

MuseReasonEventFn = CFUNCTYPE(c_int, c_void_p, POINTER(MuseReasonEvent))

class MuseAgentParams(Structure):
    struct_size: int
    format: Any
    system: Any
    thinking: int
    thought_tokens: int
    answer_tokens: int
    close_words: Any
    no_look: int
    looks: int
    look_positions: int
    look_budget: int
    free_places: int
    calls: int
    tools: Any
    sample: Any
    session: Any
    event: Any
    event_user: Any
    cancel: Any
    cancel_user: Any
    trace: Any
    heat: Any
    doubt: float
    _fields_ = [
        ("struct_size", c_size_t),
        ("format", POINTER(c_char)),
        ("system", POINTER(c_char)),
        ("thinking", c_int),
        ("thought_tokens", c_uint32),
        ("answer_tokens", c_uint32),
        ("close_words", POINTER(c_char)),
        ("no_look", c_int),
        ("looks", c_uint32),
        ("look_positions", c_uint32),
        ("look_budget", c_uint32),
        ("free_places", c_int),
        ("calls", c_uint32),
        ("tools", POINTER(MuseTools)),
        ("sample", POINTER(MuseSampleParams)),
        ("session", POINTER(MuseSessionParams)),
        ("event", MuseReasonEventFn),
        ("event_user", c_void_p),
        ("cancel", MuseCancelFn),
        ("cancel_user", c_void_p),
        ("trace", POINTER(MuseTrace)),
        ("heat", POINTER(MuseWatchParams)),
        ("doubt", c_double),
    ]


class MuseTurnParams(Structure):
    struct_size: int
    thinking: int
    thought_tokens: int
    trace: Any
    doubt: float
    _fields_ = [
        ("struct_size", c_size_t),
        ("thinking", c_int),
        ("thought_tokens", c_uint32),
        ("trace", POINTER(MuseTrace)),
        ("doubt", c_double),
    ]


class MuseAgentInfo(Structure):
    number: int
    finish: int
    thought: Any
    n_thought: int
    answer: Any
    n_answer: int
    prompt_tokens: int
    thought_tokens: int
    answer_tokens: int
    forced_tokens: int
    view_positions: int
    looks: int
    refused: int
    bad: int
    calls: int
    n_steps: int
    confidence: float
    seed: int
    temperature: float
    doubted: int
    direct: Any
    n_direct: int
    direct_probability: float
    direct_tokens: int
    _fields_ = [
        ("number", c_uint32),
        ("finish", c_int),
        ("thought", POINTER(c_char)),
        ("n_thought", c_size_t),
        ("answer", POINTER(c_char)),
        ("n_answer", c_size_t),
        ("prompt_tokens", c_uint64),
        ("thought_tokens", c_uint64),
        ("answer_tokens", c_uint64),
        ("forced_tokens", c_uint64),
        ("view_positions", c_uint64),
        ("looks", c_uint32),
        ("refused", c_uint32),
        ("bad", c_uint32),
        ("calls", c_uint32),
        ("n_steps", c_size_t),
        ("confidence", c_double),
        ("seed", c_uint64),
        ("temperature", c_float),
        ("doubted", c_int),
        ("direct", POINTER(c_char)),
        ("n_direct", c_size_t),
        ("direct_probability", c_double),
        ("direct_tokens", c_uint64),
    ]


class MuseVote(Structure):
    answer: Any
    n: int
    weight: float
    cross: Any
    _fields_ = [
        ("answer", POINTER(c_char)),
        ("n", c_size_t),
        ("weight", c_double),
        ("cross", POINTER(c_double)),
    ]


class MuseCandidate(Structure):
    vote: int
    count: int
    weight: float
    cross: float
    score: float
    _fields_ = [
        ("vote", c_size_t),
        ("count", c_uint32),
        ("weight", c_double),
        ("cross", c_double),
        ("score", c_double),
    ]


class MuseCalibration(Structure):
    confidence: float
    _fields_ = [
        ("from", c_double),
        ("confidence", c_double),
    ]

MUSE_MODE_INSTANT = 0
MUSE_MODE_THINKING = 1
MUSE_MODE_CONTEMPLATING = 2
MUSE_MODE_AUTO = 3

MUSE_SYNTHESIS_VOTE = 0
MUSE_SYNTHESIS_GENERATE = 1

MUSE_AGENTS_MAX = 256
MUSE_VIEWS = 8


class MuseFocus(Structure):
    image: int
    rect: MuseRect
    _fields_ = [
        ("image", c_uint32),
        ("rect", MuseRect),
    ]


class MuseReasonParams(Structure):
    struct_size: int
    mode: int
    agent: Any
    agents: int
    seed: int
    temperature: float
    spread: float
    focus: Any
    n_focus: int
    agree: int
    no_stop: int
    no_cross: int
    verify: int
    synthesis: int
    calibration: Any
    n_calibration: int
    views: int
    doubt: float
    _fields_ = [
        ("struct_size", c_size_t),
        ("mode", c_int),
        ("agent", POINTER(MuseAgentParams)),
        ("agents", c_uint32),
        ("seed", c_uint64),
        ("temperature", c_float),
        ("spread", c_float),
        ("focus", POINTER(MuseFocus)),
        ("n_focus", c_size_t),
        ("agree", c_uint32),
        ("no_stop", c_int),
        ("no_cross", c_int),
        ("verify", c_uint32),
        ("synthesis", c_int),
        ("calibration", POINTER(MuseCalibration)),
        ("n_calibration", c_size_t),
        ("views", c_uint32),
        ("doubt", c_double),
        ("from", POINTER(MuseAgent)),
    ]


class MuseReasonResult(Structure):
    answer: Any
    n_answer: int
    agreement: float
    confidence: float
    agents: Any
    n_agents: int
    n_forks: int
    candidates: Any
    n_candidates: int
    prompt_tokens: int
    thought_tokens: int
    answer_tokens: int
    seconds: float
    stopped_early: int
    n_unbegun: int
    calibrated: int
    by: int
    _fields_ = [
        ("answer", POINTER(c_char)),
        ("n_answer", c_size_t),
        ("agreement", c_double),
        ("confidence", c_double),
        ("agents", POINTER(POINTER(MuseAgent))),
        ("n_agents", c_size_t),
        ("n_forks", c_size_t),
        ("candidates", POINTER(MuseCandidate)),
        ("n_candidates", c_size_t),
        ("prompt_tokens", c_uint64),
        ("thought_tokens", c_uint64),
        ("answer_tokens", c_uint64),
        ("seconds", c_double),
        ("stopped_early", c_int),
        ("n_unbegun", c_size_t),
        ("calibrated", c_int),
        ("by", c_size_t),
    ]


class MuseTrainer(Structure):
    pass


class MuseTrainPart(Structure):
    modality: int
    grid_width: int
    grid_height: int
    alone: int
    n: int
    ids: Any
    weights: Any
    rgb: Any
    features: Any
    values: int
    _fields_ = [
        ("modality", c_int32),
        ("grid_width", c_uint32),
        ("grid_height", c_uint32),
        ("alone", c_int32),
        ("n", c_size_t),
        ("ids", POINTER(c_int32)),
        ("weights", POINTER(c_float)),
        ("rgb", POINTER(c_uint8)),
        ("features", POINTER(c_float)),
        ("values", c_size_t),
    ]


class MuseTrainBranch(Structure):
    parts: Any
    n_parts: int
    task: int
    group: int
    _fields_ = [
        ("parts", POINTER(MuseTrainPart)),
        ("n_parts", c_size_t),
        ("task", c_uint32),
        ("group", c_uint32),
    ]


class MuseTrainLabel(Structure):
    branch: int
    part: int
    index: int
    head: int
    value: int
    weight: float
    _fields_ = [
        ("branch", c_uint32),
        ("part", c_uint32),
        ("index", c_uint32),
        ("head", c_uint32),
        ("value", c_uint32),
        ("weight", c_float),
    ]


class MuseTrainGaze(Structure):
    branch: int
    part: int
    index: int
    target_part: int
    targets: Any
    n_targets: int
    weight: float
    _fields_ = [
        ("branch", c_uint32),
        ("part", c_uint32),
        ("index", c_uint32),
        ("target_part", c_uint32),
        ("targets", POINTER(c_uint32)),
        ("n_targets", c_size_t),
        ("weight", c_float),
    ]


class MuseTrainSample(Structure):
    prefix: Any
    n_prefix: int
    branches: Any
    n_branches: int
    labels: Any
    n_labels: int
    gazes: Any
    n_gazes: int
    handle: Any
    _fields_ = [
        ("prefix", POINTER(MuseTrainPart)),
        ("n_prefix", c_size_t),
        ("branches", POINTER(MuseTrainBranch)),
        ("n_branches", c_size_t),
        ("labels", POINTER(MuseTrainLabel)),
        ("n_labels", c_size_t),
        ("gazes", POINTER(MuseTrainGaze)),
        ("n_gazes", c_size_t),
        ("handle", c_void_p),
    ]


class MuseTrainSource(Structure):
    struct_size: int
    make: Any
    release: Any
    user: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("make", CFUNCTYPE(c_int, c_void_p, c_uint64, POINTER(MuseTrainSample), POINTER(MuseError))),
        ("release", CFUNCTYPE(None, c_void_p, POINTER(MuseTrainSample))),
        ("user", c_void_p),
    ]


class MuseTrainPrompt(Structure):
    parts: Any
    n_parts: int
    task: int
    answers: Any
    n_answers: int
    views: Any
    n_views: int
    handle: Any
    _fields_ = [
        ("parts", POINTER(MuseReasonPart)),
        ("n_parts", c_size_t),
        ("task", c_uint32),
        ("answers", POINTER(c_char_p)),
        ("n_answers", c_size_t),
        ("views", POINTER(MuseFocus)),
        ("n_views", c_size_t),
        ("handle", c_void_p),
    ]


class MuseTrainRollout(Structure):
    agent: Any
    right: int
    clean: int
    thinks: int
    tokens: int
    looks: int
    iou: float
    _fields_ = [
        ("agent", POINTER(MuseAgent)),
        ("right", c_int),
        ("clean", c_int),
        ("thinks", c_int),
        ("tokens", c_uint32),
        ("looks", c_uint32),
        ("iou", c_double),
    ]


class MuseTrainPrompts(Structure):
    struct_size: int
    make: Any
    release: Any
    reward: Any
    user: Any
    same: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("make", CFUNCTYPE(c_int, c_void_p, c_uint64, c_int, POINTER(MuseTrainPrompt), POINTER(MuseError))),
        ("release", CFUNCTYPE(None, c_void_p, POINTER(MuseTrainPrompt))),
        ("reward", CFUNCTYPE(c_double, c_void_p, POINTER(MuseTrainPrompt), POINTER(MuseTrainRollout))),
        ("user", c_void_p),
        ("same", CFUNCTYPE(c_int, c_void_p, POINTER(c_char), c_size_t, POINTER(c_char))),
    ]


class MuseTrainerParams(Structure):
    struct_size: int
    folder: Any
    out: Any
    source: Any
    resume: int
    steps: int
    prompts: Any
    _fields_ = [
        ("struct_size", c_size_t),
        ("folder", POINTER(c_char)),
        ("out", POINTER(c_char)),
        ("source", POINTER(MuseTrainSource)),
        ("resume", c_int),
        ("steps", c_uint64),
        ("prompts", POINTER(MuseTrainPrompts)),
    ]


class MuseTrainReport(Structure):
    step: int
    steps: int
    loss: float
    text_loss: float
    label_loss: float
    gaze_loss: float
    accuracy: float
    grad_norm: float
    rate: float
    seconds: float
    wait_seconds: float
    positions: int
    total_positions: int
    skipped: int
    saved: int
    rollouts: int
    reward: float
    right: float
    tokens: float
    thinks: float
    _fields_ = [
        ("step", c_uint64),
        ("steps", c_uint64),
        ("loss", c_double),
        ("text_loss", c_double),
        ("label_loss", c_double),
        ("gaze_loss", c_double),
        ("accuracy", c_double),
        ("grad_norm", c_double),
        ("rate", c_double),
        ("seconds", c_double),
        ("wait_seconds", c_double),
        ("positions", c_uint64),
        ("total_positions", c_uint64),
        ("skipped", c_uint64),
        ("saved", c_int),
        ("rollouts", c_uint64),
        ("reward", c_double),
        ("right", c_double),
        ("tokens", c_double),
        ("thinks", c_double),
    ]


class MuseTrainerInfo(Structure):
    step: int
    steps: int
    n_parameters: int
    memory_bytes: int
    compute: Any
    folder: Any
    n_tasks: int
    _fields_ = [
        ("step", c_uint64),
        ("steps", c_uint64),
        ("n_parameters", c_uint64),
        ("memory_bytes", c_uint64),
        ("compute", POINTER(c_char)),
        ("folder", POINTER(c_char)),
        ("n_tasks", c_size_t),
    ]


class MuseTrainTask(Structure):
    name: Any
    loss: float
    accuracy: float
    n: int
    _fields_ = [
        ("name", POINTER(c_char)),
        ("loss", c_double),
        ("accuracy", c_double),
        ("n", c_uint64),
    ]

MUSE_GUARD_THINK = 0
MUSE_GUARD_FREE = 1
MUSE_GUARD_DIRECT = 2
MUSE_GUARDS = 3


class MuseTrainGuard(Structure):
    task: Any
    step: int
    n: int
    accuracy: Any
    tokens: Any
    looks: Any
    thinks: float
    budget: float
    _fields_ = [
        ("task", POINTER(c_char)),
        ("step", c_uint64),
        ("n", c_uint64),
        ("accuracy", c_double * MUSE_GUARDS),
        ("tokens", c_double * MUSE_GUARDS),
        ("looks", c_double * MUSE_GUARDS),
        ("thinks", c_double),
        ("budget", c_double),
    ]


class MuseScalingPoint(Structure):
    parameters: float
    positions: float
    loss: float
    _fields_ = [
        ("parameters", c_double),
        ("positions", c_double),
        ("loss", c_double),
    ]

MUSE_SCALING_E = 0
MUSE_SCALING_A = 1
MUSE_SCALING_ALPHA = 2
MUSE_SCALING_B = 3
MUSE_SCALING_BETA = 4
MUSE_SCALING_VALUES = 5

MUSE_SCALING_POINTS_MIN = 6
MUSE_SCALING_POINTS_MAX = 256
MUSE_SCALING_SAMPLES = 200


class MuseScalingFit(Structure):
    value: Any
    low: Any
    high: Any
    error: float
    n: int
    samples: Any
    _fields_ = [
        ("value", c_double * MUSE_SCALING_VALUES),
        ("low", c_double * MUSE_SCALING_VALUES),
        ("high", c_double * MUSE_SCALING_VALUES),
        ("error", c_double),
        ("n", c_size_t),
        ("samples", c_double * MUSE_SCALING_VALUES * MUSE_SCALING_SAMPLES),
    ]


# name: (result, arguments)
PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "muse_status_name": (c_char_p, [c_int]),
    "muse_status_text": (c_char_p, [c_int]),
    "muse_runtime_params_init": (None, [POINTER(MuseRuntimeParams)]),
    "muse_runtime_open": (c_int, [POINTER(POINTER(MuseRuntime)), POINTER(MuseRuntimeParams), POINTER(MuseError)]),
    "muse_runtime_close": (None, [POINTER(POINTER(MuseRuntime))]),
    "muse_runtime_info": (c_int, [POINTER(MuseRuntime), POINTER(MuseRuntimeInfo)]),
    "muse_free": (None, [c_void_p]),
    "muse_family_count": (c_size_t, []),
    "muse_family_at": (POINTER(MuseFamily), [c_size_t]),
    "muse_family_find": (POINTER(MuseFamily), [c_char_p]),
    "muse_text_open_file": (c_int, [POINTER(POINTER(MuseTextTokenizer)), POINTER(MuseRuntime), c_char_p, POINTER(MuseError)]),
    "muse_text_open_memory": (c_int, [POINTER(POINTER(MuseTextTokenizer)), POINTER(MuseRuntime), c_void_p, c_size_t, POINTER(MuseError)]),
    "muse_text_close": (None, [POINTER(POINTER(MuseTextTokenizer))]),
    "muse_text_info": (c_int, [POINTER(MuseTextTokenizer), POINTER(MuseTextInfo)]),
    "muse_text_encode": (c_int, [POINTER(MuseTextTokenizer), c_char_p, c_size_t, c_uint, POINTER(POINTER(c_int32)), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_text_decode": (c_int, [POINTER(MuseTextTokenizer), POINTER(c_int32), c_size_t, c_uint, POINTER(POINTER(c_char)), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_text_token_bytes": (c_int, [POINTER(MuseTextTokenizer), c_int32, POINTER(POINTER(c_char)), POINTER(c_size_t)]),
    "muse_text_is_special": (c_int, [POINTER(MuseTextTokenizer), c_int32]),
    "muse_text_find": (c_int32, [POINTER(MuseTextTokenizer), c_char_p, c_size_t]),
    "muse_text_decoder_open": (c_int, [POINTER(POINTER(MuseTextDecoder)), POINTER(MuseTextTokenizer), c_uint, POINTER(MuseError)]),
    "muse_text_decoder_push": (c_int, [POINTER(MuseTextDecoder), c_int32, POINTER(POINTER(c_char)), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_text_decoder_flush": (c_int, [POINTER(MuseTextDecoder), POINTER(POINTER(c_char)), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_text_decoder_close": (None, [POINTER(POINTER(MuseTextDecoder))]),
    "muse_text_train_params_init": (None, [POINTER(MuseTextTrainParams)]),
    "muse_text_train_bpe": (c_int, [POINTER(MuseRuntime), POINTER(c_char_p), POINTER(c_size_t), c_size_t, POINTER(MuseTextTrainParams), POINTER(POINTER(c_char)), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_image_params_init": (None, [POINTER(MuseImageParams)]),
    "muse_image_open_file": (c_int, [POINTER(POINTER(MuseImage)), POINTER(MuseRuntime), c_char_p, POINTER(MuseImageParams), POINTER(MuseError)]),
    "muse_image_open_memory": (c_int, [POINTER(POINTER(MuseImage)), POINTER(MuseRuntime), c_void_p, c_size_t, POINTER(MuseImageParams), POINTER(MuseError)]),
    "muse_image_open_pixels": (c_int, [POINTER(POINTER(MuseImage)), POINTER(MuseRuntime), c_void_p, c_uint32, c_uint32, c_size_t, c_int, POINTER(MuseImageParams), POINTER(MuseError)]),
    "muse_image_close": (None, [POINTER(POINTER(MuseImage))]),
    "muse_image_ref": (POINTER(MuseImage), [POINTER(MuseImage)]),
    "muse_image_info": (c_int, [POINTER(MuseImage), POINTER(MuseImageInfo)]),
    "muse_image_region": (c_int, [POINTER(POINTER(MuseImage)), POINTER(MuseImage), MuseRect, POINTER(MuseError)]),
    "muse_image_read_rgb": (c_int, [POINTER(MuseImage), c_int, POINTER(c_uint8), POINTER(c_uint8), c_size_t, POINTER(MuseError)]),
    "muse_image_plan": (c_int, [POINTER(MuseImageRule), c_uint32, c_uint32, c_uint32, POINTER(MuseImagePlan), POINTER(MuseError)]),
    "muse_image_plan_rect": (MuseRect, [POINTER(MuseImagePlan), c_uint32, c_uint32]),
    "muse_image_patches": (c_int, [POINTER(POINTER(MusePatches)), POINTER(MuseImage), POINTER(MuseImageRule), c_uint32, MuseCancelFn, c_void_p, POINTER(MuseError)]),
    "muse_patches_close": (None, [POINTER(POINTER(MusePatches))]),
    "muse_patches_ref": (POINTER(MusePatches), [POINTER(MusePatches)]),
    "muse_patches_plan": (POINTER(MuseImagePlan), [POINTER(MusePatches)]),
    "muse_patches_rgb": (POINTER(c_uint8), [POINTER(MusePatches)]),
    "muse_patches_read": (c_int, [POINTER(MusePatches), c_size_t, c_size_t, POINTER(c_float)]),
    "muse_patches_hash": (None, [POINTER(MusePatches), POINTER(c_uint8)]),
    "muse_image_resize": (c_int, [POINTER(MuseRuntime), POINTER(c_uint8), c_uint32, c_uint32, c_size_t, c_int, c_uint32, c_uint32, POINTER(c_uint8), c_uint32, c_uint32, POINTER(MuseError)]),
    "muse_png_write_file": (c_int, [c_char_p, POINTER(c_uint8), c_uint32, c_uint32, c_size_t, c_int, POINTER(MuseError)]),
    "muse_png_write_memory": (c_int, [POINTER(MuseRuntime), POINTER(c_void_p), POINTER(c_size_t), POINTER(c_uint8), c_uint32, c_uint32, c_size_t, c_int, POINTER(MuseError)]),
    "muse_audio_params_init": (None, [POINTER(MuseAudioParams)]),
    "muse_audio_open_file": (c_int, [POINTER(POINTER(MuseAudio)), POINTER(MuseRuntime), c_char_p, POINTER(MuseAudioParams), POINTER(MuseError)]),
    "muse_audio_open_memory": (c_int, [POINTER(POINTER(MuseAudio)), POINTER(MuseRuntime), c_void_p, c_size_t, POINTER(MuseAudioParams), POINTER(MuseError)]),
    "muse_audio_open_pcm": (c_int, [POINTER(POINTER(MuseAudio)), POINTER(MuseRuntime), c_void_p, c_uint64, c_int, c_uint32, c_uint32, POINTER(MuseAudioParams), POINTER(MuseError)]),
    "muse_audio_close": (None, [POINTER(POINTER(MuseAudio))]),
    "muse_audio_ref": (POINTER(MuseAudio), [POINTER(MuseAudio)]),
    "muse_audio_info": (c_int, [POINTER(MuseAudio), POINTER(MuseAudioInfo)]),
    "muse_audio_plan": (c_int, [POINTER(MuseAudioRule), c_uint64, c_uint32, POINTER(MuseAudioPlan), POINTER(MuseError)]),
    "muse_audio_frames": (c_int, [POINTER(POINTER(MuseFrames)), POINTER(MuseAudio), POINTER(MuseAudioRule), MuseCancelFn, c_void_p, POINTER(MuseError)]),
    "muse_frames_close": (None, [POINTER(POINTER(MuseFrames))]),
    "muse_frames_ref": (POINTER(MuseFrames), [POINTER(MuseFrames)]),
    "muse_frames_plan": (POINTER(MuseAudioPlan), [POINTER(MuseFrames)]),
    "muse_frames_data": (POINTER(c_float), [POINTER(MuseFrames)]),
    "muse_frames_hash": (None, [POINTER(MuseFrames), POINTER(c_uint8)]),
    "muse_audio_feed_open": (c_int, [POINTER(POINTER(MuseAudioFeed)), POINTER(MuseRuntime), POINTER(MuseAudioRule), c_int, c_uint32, c_uint32, POINTER(MuseError)]),
    "muse_audio_feed_push": (c_int, [POINTER(MuseAudioFeed), c_void_p, c_size_t, POINTER(MuseError)]),
    "muse_audio_feed_finish": (c_int, [POINTER(MuseAudioFeed), POINTER(MuseError)]),
    "muse_audio_feed_ready": (c_size_t, [POINTER(MuseAudioFeed)]),
    "muse_audio_feed_take": (c_int, [POINTER(MuseAudioFeed), POINTER(c_float), c_size_t, POINTER(c_size_t)]),
    "muse_audio_feed_close": (None, [POINTER(POINTER(MuseAudioFeed))]),
    "muse_sequence_params_init": (None, [POINTER(MuseSequenceParams)]),
    "muse_sequence_open": (c_int, [POINTER(POINTER(MuseSequence)), POINTER(MuseRuntime), POINTER(MuseSequenceParams), POINTER(MuseError)]),
    "muse_sequence_close": (None, [POINTER(POINTER(MuseSequence))]),
    "muse_sequence_append_text": (c_int, [POINTER(MuseSequence), c_char_p, c_size_t, c_uint, POINTER(MuseError)]),
    "muse_sequence_append_ids": (c_int, [POINTER(MuseSequence), POINTER(c_int32), c_size_t, POINTER(MuseError)]),
    "muse_image_options_init": (None, [POINTER(MuseImageOptions)]),
    "muse_sequence_append_image": (c_int, [POINTER(MuseSequence), POINTER(MuseImage), POINTER(MuseImageOptions), POINTER(MuseError)]),
    "muse_sequence_append_image_size": (c_int, [POINTER(MuseSequence), c_uint32, c_uint32, POINTER(MuseImageOptions), POINTER(MuseError)]),
    "muse_sequence_append_audio": (c_int, [POINTER(MuseSequence), POINTER(MuseAudio), MuseCancelFn, c_void_p, POINTER(MuseError)]),
    "muse_sequence_append_audio_length": (c_int, [POINTER(MuseSequence), c_uint64, c_uint32, POINTER(MuseError)]),
    "muse_sequence_append_rows": (c_int, [POINTER(MuseSequence), POINTER(c_float), c_size_t, c_size_t, POINTER(MuseError)]),
    "muse_sequence_copy": (c_int, [POINTER(POINTER(MuseSequence)), POINTER(MuseSequence), POINTER(MuseError)]),
    "muse_sequence_truncate": (c_int, [POINTER(MuseSequence), c_size_t, POINTER(MuseError)]),
    "muse_sequence_length": (c_size_t, [POINTER(MuseSequence)]),
    "muse_sequence_position": (c_int, [POINTER(MuseSequence), c_size_t, POINTER(MusePosition)]),
    "muse_sequence_span_count": (c_size_t, [POINTER(MuseSequence)]),
    "muse_sequence_span": (c_int, [POINTER(MuseSequence), c_size_t, POINTER(MuseSpanInfo)]),
    "muse_sequence_features": (c_int, [POINTER(MuseSequence), c_size_t, c_size_t, c_size_t, POINTER(c_float), POINTER(MuseError)]),
    "muse_sequence_hash": (c_int, [POINTER(MuseSequence), c_size_t, POINTER(c_uint8)]),
    "muse_draw_params_init": (None, [POINTER(MuseDrawParams)]),
    "muse_sequence_draw": (c_int, [POINTER(MuseSequence), POINTER(MuseDrawParams), POINTER(POINTER(c_uint8)), POINTER(c_uint32), POINTER(c_uint32), POINTER(MuseError)]),
    "muse_model_params_init": (None, [POINTER(MuseModelParams)]),
    "muse_model_open": (c_int, [POINTER(POINTER(MuseModel)), POINTER(MuseRuntime), c_char_p, POINTER(MuseModelParams), POINTER(MuseError)]),
    "muse_model_ref": (POINTER(MuseModel), [POINTER(MuseModel)]),
    "muse_model_close": (None, [POINTER(POINTER(MuseModel))]),
    "muse_model_info": (c_int, [POINTER(MuseModel), POINTER(MuseModelInfo)]),
    "muse_model_type": (c_int, [POINTER(MuseModel), c_size_t, POINTER(MuseModelType)]),
    "muse_model_tensor_count": (c_size_t, [POINTER(MuseModel)]),
    "muse_model_tensor": (c_int, [POINTER(MuseModel), c_size_t, POINTER(MuseTensorInfo)]),
    "muse_model_memory": (c_int, [POINTER(MuseModel), c_uint64, POINTER(MuseModelMemory)]),
    "muse_model_family": (POINTER(MuseFamily), [POINTER(MuseModel)]),
    "muse_model_open_tokenizer": (c_int, [POINTER(MuseModel), POINTER(POINTER(MuseTextTokenizer)), POINTER(MuseError)]),
    "muse_session_params_init": (None, [POINTER(MuseSessionParams)]),
    "muse_session_open": (c_int, [POINTER(POINTER(MuseSession)), POINTER(MuseModel), POINTER(MuseSessionParams), POINTER(MuseError)]),
    "muse_session_close": (None, [POINTER(POINTER(MuseSession))]),
    "muse_session_sequence": (POINTER(MuseSequence), [POINTER(MuseSession)]),
    "muse_session_model": (POINTER(MuseModel), [POINTER(MuseSession)]),
    "muse_session_tokenizer": (POINTER(MuseTextTokenizer), [POINTER(MuseSession)]),
    "muse_session_prefill": (c_int, [POINTER(MuseSession), POINTER(MuseError)]),
    "muse_session_logits": (POINTER(c_float), [POINTER(MuseSession)]),
    "muse_session_hidden": (POINTER(c_float), [POINTER(MuseSession)]),
    "muse_session_step": (c_int, [POINTER(MuseSession), c_int32, POINTER(MuseError)]),
    "muse_session_step_batch": (c_int, [POINTER(POINTER(MuseSession)), POINTER(c_int32), c_size_t, POINTER(MuseError)]),
    "muse_session_reserve": (c_int, [POINTER(MuseSession), c_size_t, POINTER(MuseError)]),
    "muse_session_fork": (c_int, [POINTER(POINTER(MuseSession)), POINTER(MuseSession), POINTER(MuseError)]),
    "muse_session_rewind": (c_int, [POINTER(MuseSession), c_size_t, POINTER(MuseError)]),
    "muse_session_score": (c_int, [POINTER(MuseSession), POINTER(c_int32), c_size_t, POINTER(c_double), POINTER(MuseError)]),
    "muse_session_cancel": (None, [POINTER(MuseSession)]),
    "muse_session_info": (c_int, [POINTER(MuseSession), POINTER(MuseSessionInfo)]),
    "muse_session_save": (c_int, [POINTER(MuseSession), c_char_p, POINTER(MuseError)]),
    "muse_session_restore": (c_int, [POINTER(POINTER(MuseSession)), POINTER(MuseModel), c_char_p, POINTER(MuseSessionParams), POINTER(MuseError)]),
    "muse_prefix_cache_open": (c_int, [POINTER(POINTER(MusePrefixCache)), POINTER(MuseModel), c_uint64, POINTER(MuseError)]),
    "muse_prefix_cache_close": (None, [POINTER(POINTER(MusePrefixCache))]),
    "muse_prefix_cache_info": (c_int, [POINTER(MusePrefixCache), POINTER(MusePrefixCacheInfo)]),
    "muse_chat_params_init": (None, [POINTER(MuseChatParams)]),
    "muse_chat_format_of": (c_int, [c_char_p, POINTER(MuseTextTokenizer), POINTER(POINTER(c_char)), POINTER(MuseError)]),
    "muse_chat_open": (c_int, [POINTER(POINTER(MuseChat)), POINTER(MuseRuntime), POINTER(MuseChatParams), POINTER(MuseError)]),
    "muse_chat_close": (None, [POINTER(POINTER(MuseChat))]),
    "muse_chat_add_tool": (c_int, [POINTER(MuseChat), c_char_p, c_char_p, c_char_p, c_size_t, POINTER(MuseError)]),
    "muse_chat_add": (c_int, [POINTER(MuseChat), c_int, POINTER(MuseError)]),
    "muse_chat_add_result": (c_int, [POINTER(MuseChat), c_char_p, c_char_p, POINTER(MuseError)]),
    "muse_chat_add_text": (c_int, [POINTER(MuseChat), c_char_p, c_size_t, POINTER(MuseError)]),
    "muse_chat_add_image": (c_int, [POINTER(MuseChat), POINTER(MuseImage), POINTER(MuseImageOptions), POINTER(MuseError)]),
    "muse_chat_add_audio": (c_int, [POINTER(MuseChat), POINTER(MuseAudio), POINTER(MuseError)]),
    "muse_chat_add_json": (c_int, [POINTER(MuseChat), c_char_p, c_size_t, POINTER(MuseError)]),
    "muse_chat_add_thought": (c_int, [POINTER(MuseChat), c_char_p, c_size_t, POINTER(MuseError)]),
    "muse_chat_add_token": (c_int, [POINTER(MuseChat), c_int, c_char_p, POINTER(MuseError)]),
    "muse_chat_add_call": (c_int, [POINTER(MuseChat), c_char_p, c_char_p, c_char_p, c_size_t, POINTER(MuseError)]),
    "muse_chat_length": (c_size_t, [POINTER(MuseChat)]),
    "muse_chat_drop_newest": (None, [POINTER(MuseChat)]),
    "muse_chat_render": (c_int, [POINTER(MuseChat), POINTER(POINTER(MuseChatSegment)), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_chat_prompt": (c_int, [POINTER(MuseChat), POINTER(POINTER(c_char)), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_chat_append": (c_int, [POINTER(MuseChat), POINTER(MuseSequence), c_size_t, POINTER(MuseError)]),
    "muse_chat_stop_ids": (c_int, [c_char_p, POINTER(MuseTextTokenizer), POINTER(c_int32), c_size_t, POINTER(c_size_t), POINTER(MuseError)]),
    "muse_chat_close_thought": (c_int, [c_char_p, POINTER(MuseTextTokenizer), c_char_p, POINTER(POINTER(c_int32)), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_chat_parser_open": (c_int, [POINTER(POINTER(MuseChatParser)), POINTER(MuseChat), POINTER(MuseTextTokenizer), POINTER(MuseError)]),
    "muse_chat_parser_feed_text": (c_int, [POINTER(MuseChatParser), c_char_p, c_size_t, POINTER(c_size_t), POINTER(MuseError)]),
    "muse_chat_parser_feed_ids": (c_int, [POINTER(MuseChatParser), POINTER(c_int32), c_size_t, POINTER(c_size_t), POINTER(MuseError)]),
    "muse_chat_parser_finish": (c_int, [POINTER(MuseChatParser), POINTER(MuseError)]),
    "muse_chat_parser_next": (c_int, [POINTER(MuseChatParser), POINTER(MuseChatItem)]),
    "muse_chat_add_parsed": (c_int, [POINTER(MuseChat), POINTER(MuseChatParser), POINTER(MuseError)]),
    "muse_chat_parser_close": (None, [POINTER(POINTER(MuseChatParser))]),
    "muse_convert_params_init": (None, [POINTER(MuseConvertParams)]),
    "muse_convert": (c_int, [POINTER(MuseRuntime), c_char_p, c_char_p, POINTER(MuseConvertParams), POINTER(MuseConvertInfo), POINTER(MuseError)]),
    "muse_grammar_params_init": (None, [POINTER(MuseGrammarParams)]),
    "muse_grammar_open_regex": (c_int, [POINTER(POINTER(MuseGrammar)), POINTER(MuseRuntime), POINTER(MuseTextTokenizer), c_char_p, c_size_t, POINTER(MuseGrammarParams), POINTER(MuseError)]),
    "muse_grammar_open_schema": (c_int, [POINTER(POINTER(MuseGrammar)), POINTER(MuseRuntime), POINTER(MuseTextTokenizer), c_char_p, c_size_t, POINTER(MuseGrammarParams), POINTER(MuseError)]),
    "muse_grammar_open_json": (c_int, [POINTER(POINTER(MuseGrammar)), POINTER(MuseRuntime), POINTER(MuseTextTokenizer), POINTER(MuseGrammarParams), POINTER(MuseError)]),
    "muse_grammar_open_choices": (c_int, [POINTER(POINTER(MuseGrammar)), POINTER(MuseRuntime), POINTER(MuseTextTokenizer), POINTER(c_char_p), POINTER(c_size_t), c_size_t, POINTER(MuseGrammarParams), POINTER(MuseError)]),
    "muse_grammar_close": (None, [POINTER(POINTER(MuseGrammar))]),
    "muse_grammar_match": (c_int, [POINTER(MuseGrammar), c_char_p, c_size_t]),
    "muse_grammar_info": (c_int, [POINTER(MuseGrammar), POINTER(MuseGrammarInfo)]),
    "muse_sample_params_init": (None, [POINTER(MuseSampleParams)]),
    "muse_sampler_open": (c_int, [POINTER(POINTER(MuseSampler)), POINTER(MuseRuntime), c_uint32, POINTER(MuseSampleParams), POINTER(MuseError)]),
    "muse_sampler_copy": (c_int, [POINTER(POINTER(MuseSampler)), POINTER(MuseSampler), c_uint64, POINTER(MuseError)]),
    "muse_sampler_close": (None, [POINTER(POINTER(MuseSampler))]),
    "muse_sampler_reset": (None, [POINTER(MuseSampler)]),
    "muse_sampler_observe": (c_int, [POINTER(MuseSampler), POINTER(c_int32), c_size_t, POINTER(MuseError)]),
    "muse_sampler_pick": (c_int, [POINTER(MuseSampler), POINTER(c_float), POINTER(MuseSampled), POINTER(MuseError)]),
    "muse_sampler_accept": (c_int, [POINTER(MuseSampler), c_int32, POINTER(MuseError)]),
    "muse_sampler_can_end": (c_int, [POINTER(MuseSampler)]),
    "muse_sampler_must_end": (c_int, [POINTER(MuseSampler)]),
    "muse_logprobs": (c_int, [POINTER(c_float), c_size_t, POINTER(c_int32), c_size_t, POINTER(c_float)]),
    "muse_top": (c_int, [POINTER(c_float), c_size_t, c_size_t, POINTER(c_int32), POINTER(c_float)]),
    "muse_stop_open": (c_int, [POINTER(POINTER(MuseStop)), POINTER(MuseRuntime), POINTER(c_int32), c_size_t, POINTER(c_char_p), POINTER(c_size_t), c_size_t, POINTER(MuseError)]),
    "muse_stop_close": (None, [POINTER(POINTER(MuseStop))]),
    "muse_stop_is_id": (c_int, [POINTER(MuseStop), c_int32]),
    "muse_stop_push": (c_int, [POINTER(MuseStop), c_char_p, c_size_t, POINTER(POINTER(c_char)), POINTER(c_size_t), POINTER(MuseStopHit), POINTER(MuseError)]),
    "muse_stop_flush": (c_int, [POINTER(MuseStop), POINTER(POINTER(c_char)), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_stop_reset": (None, [POINTER(MuseStop)]),
    "muse_finish_name": (c_char_p, [c_int]),
    "muse_generate_params_init": (None, [POINTER(MuseGenerateParams)]),
    "muse_generate_result_clear": (None, [POINTER(MuseGenerateResult)]),
    "muse_generate": (c_int, [POINTER(MuseSession), POINTER(MuseGenerateParams), POINTER(MuseGenerateResult), POINTER(MuseError)]),
    "muse_generate_batch": (c_int, [POINTER(POINTER(MuseSession)), POINTER(POINTER(MuseGenerateParams)), c_size_t, POINTER(MuseGenerateResult), POINTER(MuseError)]),
    "muse_stream_open": (c_int, [POINTER(POINTER(MuseStream)), POINTER(MuseSession), POINTER(MuseGenerateParams), POINTER(MuseError)]),
    "muse_stream_next": (c_int, [POINTER(MuseStream), POINTER(MuseGenerated), POINTER(MuseError)]),
    "muse_stream_result": (c_int, [POINTER(MuseStream), POINTER(MuseGenerateResult), POINTER(MuseError)]),
    "muse_stream_close": (None, [POINTER(POINTER(MuseStream))]),
    "muse_measure_limits": (c_int, [POINTER(MuseRuntime), POINTER(MuseLimits), POINTER(MuseError)]),
    "muse_coords_places": (MuseCoords, [MuseRect]),
    "muse_coords_thousand": (MuseCoords, [MuseRect, c_int]),
    "muse_coords_patches": (MuseCoords, [POINTER(MuseImagePlan), MuseRect]),
    "muse_coords_to_rect": (c_int, [POINTER(MuseCoords), POINTER(c_double), c_size_t, POINTER(MuseRect), POINTER(MuseError)]),
    "muse_coords_from_rect": (c_int, [POINTER(MuseCoords), MuseRect, POINTER(c_double), c_size_t, POINTER(MuseError)]),
    "muse_step_name": (c_char_p, [c_uint32]),
    "muse_trace_step_init": (None, [POINTER(MuseTraceStep)]),
    "muse_trace_params_init": (None, [POINTER(MuseTraceParams)]),
    "muse_trace_open": (c_int, [POINTER(POINTER(MuseTrace)), POINTER(MuseRuntime), POINTER(MuseTraceParams), POINTER(MuseError)]),
    "muse_trace_close": (None, [POINTER(POINTER(MuseTrace))]),
    "muse_trace_copy": (c_int, [POINTER(POINTER(MuseTrace)), POINTER(MuseTrace), POINTER(MuseError)]),
    "muse_trace_set_names": (c_int, [POINTER(MuseTrace), c_char_p, c_char_p, c_char_p, POINTER(MuseError)]),
    "muse_trace_add_image": (c_int, [POINTER(MuseTrace), POINTER(MuseImage), c_char_p, POINTER(c_uint32), POINTER(MuseError)]),
    "muse_trace_set_image": (c_int, [POINTER(MuseTrace), c_uint32, POINTER(MuseImage), POINTER(MuseError)]),
    "muse_trace_add": (c_int, [POINTER(MuseTrace), POINTER(MuseTraceStep), POINTER(c_uint32), POINTER(MuseError)]),
    "muse_trace_begin": (c_int, [POINTER(MuseTrace), POINTER(MuseTraceStep), POINTER(c_uint32), POINTER(MuseError)]),
    "muse_trace_text": (c_int, [POINTER(MuseTrace), c_uint32, c_char_p, c_size_t, POINTER(MuseError)]),
    "muse_trace_mark": (c_int, [POINTER(MuseTrace), c_uint32, POINTER(MuseTraceMark), POINTER(MuseError)]),
    "muse_trace_heat": (c_int, [POINTER(MuseTrace), c_uint32, POINTER(MuseTraceHeat), POINTER(MuseError)]),
    "muse_trace_end": (c_int, [POINTER(MuseTrace), c_uint32, c_uint64, c_double, c_double, POINTER(MuseError)]),
    "muse_trace_summary_init": (None, [POINTER(MuseTraceSummary)]),
    "muse_trace_set_summary": (c_int, [POINTER(MuseTrace), POINTER(MuseTraceSummary), POINTER(MuseError)]),
    "muse_trace_summary": (None, [POINTER(MuseTrace), POINTER(MuseTraceSummary)]),
    "muse_trace_question": (c_char_p, [POINTER(MuseTrace)]),
    "muse_trace_model": (c_char_p, [POINTER(MuseTrace)]),
    "muse_trace_mode": (c_char_p, [POINTER(MuseTrace)]),
    "muse_trace_step_count": (c_size_t, [POINTER(MuseTrace)]),
    "muse_trace_step": (c_int, [POINTER(MuseTrace), c_uint32, POINTER(MuseTraceStep)]),
    "muse_trace_image_count": (c_size_t, [POINTER(MuseTrace)]),
    "muse_trace_image": (c_int, [POINTER(MuseTrace), c_uint32, POINTER(MuseTraceImage)]),
    "muse_trace_json": (c_int, [POINTER(MuseTrace), POINTER(POINTER(c_char)), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_trace_from_json": (c_int, [POINTER(POINTER(MuseTrace)), POINTER(MuseRuntime), c_char_p, c_size_t, POINTER(MuseTraceParams), POINTER(MuseError)]),
    "muse_trace_draw_params_init": (None, [POINTER(MuseTraceDrawParams)]),
    "muse_trace_draw": (c_int, [POINTER(MuseTrace), POINTER(MuseTraceDrawParams), POINTER(POINTER(c_uint8)), POINTER(c_uint32), POINTER(c_uint32), POINTER(MuseError)]),
    "muse_trace_html_params_init": (None, [POINTER(MuseTraceHtmlParams)]),
    "muse_trace_html": (c_int, [POINTER(MuseTrace), POINTER(MuseTraceHtmlParams), POINTER(POINTER(c_char)), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_heat_overlay": (c_int, [POINTER(MuseTraceHeat), MuseRect, POINTER(c_uint8), c_uint32, c_uint32, c_double, POINTER(MuseError)]),
    "muse_watch_params_init": (None, [POINTER(MuseWatchParams)]),
    "muse_session_watch": (c_int, [POINTER(MuseSession), POINTER(MuseWatchParams), POINTER(MuseError)]),
    "muse_session_watched": (c_int, [POINTER(MuseSession), POINTER(MuseWatched), POINTER(MuseError)]),
    "muse_session_watch_reset": (None, [POINTER(MuseSession)]),
    "muse_session_heat": (c_int, [POINTER(MuseSession), c_uint32, POINTER(c_float), c_size_t, POINTER(MuseTraceHeat), POINTER(MuseError)]),
    "muse_tool_spec_init": (None, [POINTER(MuseToolSpec)]),
    "muse_tools_open": (c_int, [POINTER(POINTER(MuseTools)), POINTER(MuseRuntime), POINTER(MuseError)]),
    "muse_tools_close": (None, [POINTER(POINTER(MuseTools))]),
    "muse_tools_add": (c_int, [POINTER(MuseTools), POINTER(MuseToolSpec), POINTER(MuseError)]),
    "muse_tools_count": (c_size_t, [POINTER(MuseTools)]),
    "muse_tools_at": (c_int, [POINTER(MuseTools), c_size_t, POINTER(MuseToolSpec)]),
    "muse_tools_running": (c_size_t, [POINTER(MuseTools)]),
    "muse_tools_run": (c_int, [POINTER(MuseTools), POINTER(MuseToolCall), c_size_t, POINTER(POINTER(MuseToolReply)), MuseCancelFn, c_void_p, POINTER(MuseError)]),
    "muse_tool_reply_text": (c_int, [POINTER(MuseToolReply), c_char_p, c_size_t, POINTER(MuseError)]),
    "muse_tool_reply_image": (c_int, [POINTER(MuseToolReply), POINTER(MuseImage), POINTER(MuseError)]),
    "muse_tool_reply_abandoned": (c_int, [POINTER(MuseToolReply)]),
    "muse_tool_reply_count": (c_size_t, [POINTER(MuseToolReply)]),
    "muse_tool_reply_part": (c_int, [POINTER(MuseToolReply), c_size_t, POINTER(MuseToolPart)]),
    "muse_tool_reply_status": (c_int, [POINTER(MuseToolReply)]),
    "muse_tool_reply_close": (None, [POINTER(POINTER(MuseToolReply))]),
    "muse_agent_params_init": (None, [POINTER(MuseAgentParams)]),
    "muse_agent_open": (c_int, [POINTER(POINTER(MuseAgent)), POINTER(MuseModel), POINTER(MuseReasonPart), c_size_t, POINTER(MuseAgentParams), POINTER(MuseError)]),
    "muse_agent_close": (None, [POINTER(POINTER(MuseAgent))]),
    "muse_agent_prefill": (c_int, [POINTER(MuseAgent), POINTER(MuseError)]),
    "muse_agent_fork": (c_int, [POINTER(POINTER(MuseAgent)), POINTER(MuseAgent), c_uint32, c_uint64, c_float, POINTER(MuseError)]),
    "muse_look": (c_int, [POINTER(MuseAgent), c_uint32, MuseRect, POINTER(MuseError)]),
    "muse_compare": (c_int, [POINTER(MuseAgent), c_uint32, MuseRect, c_uint32, MuseRect, POINTER(MuseError)]),
    "muse_agent_run": (c_int, [POINTER(POINTER(MuseAgent)), c_size_t, POINTER(MuseError)]),
    "muse_agent_stop": (None, [POINTER(MuseAgent)]),
    "muse_turn_params_init": (None, [POINTER(MuseTurnParams)]),
    "muse_agent_ask": (c_int, [POINTER(MuseAgent), POINTER(MuseReasonPart), c_size_t, POINTER(MuseTurnParams), POINTER(MuseError)]),
    "muse_agent_info": (c_int, [POINTER(MuseAgent), POINTER(MuseAgentInfo)]),
    "muse_agent_step": (c_int, [POINTER(MuseAgent), c_size_t, POINTER(MuseReasonStep)]),
    "muse_agent_ids": (c_size_t, [POINTER(MuseAgent), POINTER(POINTER(c_int32))]),
    "muse_agent_session": (POINTER(MuseSession), [POINTER(MuseAgent)]),
    "muse_agent_verify": (c_int, [POINTER(POINTER(MuseAgent)), POINTER(MuseAgent), c_uint32, c_uint32, POINTER(MuseError)]),
    "muse_agent_score": (c_int, [POINTER(MuseAgent), POINTER(MuseAgent), POINTER(c_double), POINTER(MuseError)]),
    "muse_look_view": (MuseRect, [c_uint32, c_uint32, MuseRect]),
    "muse_vote": (c_int, [POINTER(MuseVote), c_size_t, POINTER(MuseCandidate), POINTER(c_size_t), POINTER(MuseError)]),
    "muse_calibrate": (c_double, [POINTER(MuseCalibration), c_size_t, c_double]),
    "muse_reason_params_init": (None, [POINTER(MuseReasonParams)]),
    "muse_reason_result_clear": (None, [POINTER(MuseReasonResult)]),
    "muse_reason": (c_int, [POINTER(MuseModel), POINTER(MuseReasonPart), c_size_t, POINTER(MuseReasonParams), POINTER(MuseReasonResult), POINTER(MuseError)]),
    "muse_reason_take": (POINTER(MuseAgent), [POINTER(MuseReasonResult), c_size_t]),
    "muse_coordinate": (c_int, [POINTER(MuseModel), POINTER(MuseReasonPart), c_size_t, POINTER(c_char_p), c_size_t, c_char_p, POINTER(MuseReasonParams), POINTER(MuseReasonResult), POINTER(MuseError)]),
    "muse_trainer_params_init": (None, [POINTER(MuseTrainerParams)]),
    "muse_trainer_open": (c_int, [POINTER(POINTER(MuseTrainer)), POINTER(MuseRuntime), c_char_p, c_size_t, POINTER(MuseTrainerParams), POINTER(MuseError)]),
    "muse_trainer_close": (None, [POINTER(POINTER(MuseTrainer))]),
    "muse_trainer_step": (c_int, [POINTER(MuseTrainer), POINTER(MuseTrainReport), POINTER(MuseError)]),
    "muse_trainer_save": (c_int, [POINTER(MuseTrainer), POINTER(MuseError)]),
    "muse_trainer_model": (c_int, [POINTER(MuseTrainer), POINTER(POINTER(MuseModel)), POINTER(MuseError)]),
    "muse_trainer_info": (c_int, [POINTER(MuseTrainer), POINTER(MuseTrainerInfo)]),
    "muse_trainer_task": (c_int, [POINTER(MuseTrainer), c_size_t, POINTER(MuseTrainTask)]),
    "muse_trainer_guard": (c_int, [POINTER(MuseTrainer), c_size_t, POINTER(MuseTrainGuard)]),
    "muse_scaling_fit": (c_int, [POINTER(MuseScalingPoint), c_size_t, c_uint64, POINTER(MuseScalingFit), POINTER(MuseError)]),
    "muse_scaling_predict": (c_double, [POINTER(MuseScalingFit), c_double, c_double, POINTER(c_double), POINTER(c_double)]),
    "muse_scaling_draw": (c_int, [POINTER(MuseRuntime), c_char_p, POINTER(MuseScalingFit), POINTER(MuseScalingPoint), c_size_t, POINTER(MuseScalingPoint), POINTER(MuseError)]),
    "muse_abi_version": (c_int, []),
    "muse_version": (c_char_p, []),
}
