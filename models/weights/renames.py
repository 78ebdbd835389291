"""Renames from the keys of other projects to ours: pairs (pattern, replacement) for re.sub, applied in order."""

Renames = tuple[tuple[str, str], ...]

# The TSM authors' TSN and TSM.
WRAPPED: Renames = ((r"^base_model\.", ""), (r"^new_fc\.", "fc."))
SHIFTED: Renames = (*WRAPPED, (r"\.net\.", "."))  # layers behind a shift
RESNET: Renames = (
    *WRAPPED,
    (r"\.conv1\.net\.", ".conv1."),
    (r"\.block\.", "."),
    (r"\.nl\.(g|phi)\.0\.", r".non_local.\1."),
    (r"\.nl\.theta\.", ".non_local.theta."),
    (r"\.nl\.W\.", ".non_local.out."),
)
MOBILENET_V2: Renames = (  # tonylins' MobileNetV2: one flat list of layers in a block, with ReLUs
    *SHIFTED,
    (r"^features\.1\.conv\.([01])\.", r"features.1.conv.0.\1."),
    (r"^features\.1\.conv\.3\.", "features.1.conv.1."),
    (r"^features\.1\.conv\.4\.", "features.1.conv.2."),
    (r"^(features\.(?!1\.)\d+\.conv)\.([01])\.", r"\1.0.\2."),
    (r"^(features\.(?!1\.)\d+\.conv)\.3\.", r"\1.1.0."),
    (r"^(features\.(?!1\.)\d+\.conv)\.4\.", r"\1.1.1."),
    (r"^(features\.(?!1\.)\d+\.conv)\.6\.", r"\1.2."),
    (r"^(features\.(?!1\.)\d+\.conv)\.7\.", r"\1.3."),
    (r"^(fc|classifier)\.(?=[a-z])", "classifier.1."),
)
BN_INCEPTION: Renames = (
    *WRAPPED,
    (r"^(conv\w+|inception\w+)_bn\.", r"\1.1."),
    (r"^(conv\w+|inception\w+)\.(weight|bias)$", r"\1.0.\2"),
    (r"^conv1_7x7_s2\.", "stem.0."),
    (r"^conv2_3x3_reduce\.", "blocks.2.0."),
    (r"^conv2_3x3\.", "blocks.2.1."),
    (r"^inception_(\d\w)_", r"blocks.\1.branches."),
    (r"\.1x1\.", ".one."),
    (r"\.double_3x3_reduce\.", ".twice.0."),
    (r"\.double_3x3_([12])\.", r".twice.\1."),
    (r"\.3x3_reduce\.", ".three.0."),
    (r"\.3x3\.", ".three.1."),
    (r"\.pool_proj\.", ".pooled.1."),
)

# I3D and S3D: piergiaj's I3D, IBM's I3D and S3D, kylemin's S3D (torchvision's, with names instead of numbers).
I3D_PIERGIAJ: Renames = (
    (r"^logits\.conv3d\.", "logits."),
    (r"^(?:Conv3d|Mixed)_(\d\w)(?:_\dx\d)?\.", r"features.\1."),
    (r"\.b0\.", ".branch0."),
    (r"\.b([12])a\.", r".branch\1.0."),
    (r"\.b([12])b\.", r".branch\1.1."),
    (r"\.b3b\.", ".branch3.1."),
    (r"\.conv3d\.", ".conv."),
)
IBM_BRANCHES: Renames = tuple((rf"\.branch{n}\.", f".branch{n - 1}.") for n in (1, 2, 3, 4))
I3D_IBM: Renames = (
    (r"^conv1\.", "features.1a."),
    (r"^conv2\.", "features.2b."),
    (r"^conv3\.", "features.2c."),
    *((rf"^inception(\d){one}\.", rf"features.\1{next_one}.") for one, next_one in ("ab", "bc", "cd", "de", "ef")),
    *IBM_BRANCHES,
    (r"^fc\.", "logits."),
)
S3D_IBM: Renames = (
    (r"^conv1\.", "features.0."),
    (r"^conv2\.", "features.2."),
    (r"^conv3\.", "features.3."),
    *(
        (rf"^inception{block}\.", f"features.{number}.")
        for block, number in zip(
            ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"), (5, 6, 8, 9, 10, 11, 12, 14, 15), strict=True
        )
    ),
    *IBM_BRANCHES,
    (r"^(features\.3|.*\.branch[12]\.1)\.conv\.", r"\1.0.0."),
    (r"^(features\.3|.*\.branch[12]\.1)\.bn\.", r"\1.0.1."),
    (r"\.conv_t\.", ".1.0."),
    (r"\.bn_t\.", ".1.1."),
    (r"\.conv\.", ".0."),
    (r"\.bn\.", ".1."),
    (r"^fc\.", "classifier.1."),
)
S3D_KYLEMIN: Renames = (
    (r"^base\.", "features."),
    (r"^fc\.0\.", "classifier.1."),
    (r"\.branch0\.0\.conv\.", ".branch0.0."),
    (r"\.branch0\.0\.bn\.", ".branch0.1."),
    (r"\.conv_s\.", ".0.0."),
    (r"\.bn_s\.", ".0.1."),
    (r"\.conv_t\.", ".1.0."),
    (r"\.bn_t\.", ".1.1."),
    (r"\.conv\.", ".0."),
    (r"\.bn\.", ".1."),
)
TAM_IBM: Renames = (
    (r"\.tam\.prev_se\.fc1\.", ".temporal.previous."),
    (r"\.tam\.curr_se\.fc1\.", ".temporal.current."),
    (r"\.tam\.next_se\.fc1\.", ".temporal.next."),
)

# pytorch-video-recognition: its stages are conv2 to conv5, and their blocks are block1, blocks.0, blocks.1 ...
JFZHANG: Renames = (
    (r"^res(3d|2plus1d)\.", ""),
    *((rf"^conv{stage + 1}\.(?=block)", f"layer{stage}.") for stage in (1, 2, 3, 4)),
    (r"^conv1\.", "stem."),
    *((rf"\.blocks\.{index}\.", f".{index + 1}.") for index in range(5)),
    (r"\.block1\.", ".0."),
    (r"^(layer\d\.\d\.)conv([12])\.", r"\1conv\2.0."),
    (r"^(layer\d\.\d\.)bn([12])\.", r"\1conv\2.1."),
    (r"\.downsampleconv\.", ".downsample.0."),
    (r"\.downsamplebn\.", ".downsample.1."),
    (r"\.(temporal_spatial_conv|spatial_conv)\.", ".0."),
    (r"\.(bn|bn1)\.", ".1."),
    (r"\.temporal_conv\.", ".3."),
    (r"\.bn2\.", ".4."),
    (r"^linear\.", "fc."),
)

# ResNets of bottlenecks over space and time, and SlowFast.
VMZ_CSN: Renames = (
    (r"^stem\.0\.", "conv1."),
    (r"^stem\.1\.", "bn1."),
    (r"\.conv([123])\.0\.(?=weight)", r".conv\1."),
    (r"\.conv([123])\.1\.", r".bn\1."),
    (r"\.conv2\.0\.([012])\.", r".conv2.\1."),
)
MMACTION2: Renames = (
    (r"^backbone\.", ""),
    (r"\.net\.", "."),
    (r"^(slow|fast)_path\.conv1_lateral\.conv\.", "laterals.0.conv."),
    *((rf"^slow_path\.layer{stage}_lateral\.conv\.", f"laterals.{stage}.conv.") for stage in (1, 2, 3)),
    (r"^(slow|fast)_path\.", r"\1."),
    (r"^(slow|fast)\.conv1\.conv\.", r"\1.stem.0."),
    (r"^(slow|fast)\.conv1\.bn\.", r"\1.stem.1."),
    (r"\.downsample\.conv\.", ".downsample.0."),
    (r"\.downsample\.bn\.", ".downsample.1."),
    (r"\.conv2\.1\.conv\.", ".conv2.2."),  # CSN ip: 1 x 1 x 1, its norm, depthwise, the norm of the bottleneck
    (r"\.conv2\.1\.bn\.", ".bn2."),
    (r"\.conv2\.0\.conv\.", ".conv2.0."),
    (r"\.conv2\.0\.bn\.", ".conv2.1."),
    (r"(^|\.)conv([123])\.conv\.", r"\1conv\2."),
    (r"(^|\.)conv([123])\.bn\.", r"\1bn\2."),
    (r"^cls_head\.fc_cls\.", "fc."),
)
MMACTION2_CSN_IR: Renames = (
    (r"\.conv2\.0\.bn\.", ".bn2."),
    (r"\.conv2\.0\.conv\.", ".conv2.conv."),
    *MMACTION2,
)
PYTORCHVIDEO: Renames = (
    (r"^blocks\.(\d)\.multipathway_blocks\.0\.", r"slow.blocks.\1."),
    (r"^blocks\.(\d)\.multipathway_blocks\.1\.", r"fast.blocks.\1."),
    (r"^blocks\.(\d)\.multipathway_fusion\.conv_fast_to_slow\.", r"laterals.\1.conv."),
    (r"^blocks\.(\d)\.multipathway_fusion\.norm\.", r"laterals.\1.after.0."),
    (r"^(slow|fast)\.blocks\.0\.conv\.", r"\1.stem.0."),
    (r"^(slow|fast)\.blocks\.0\.norm\.", r"\1.stem.1."),
    (r"^blocks\.0\.conv\.", "conv1."),
    (r"^blocks\.0\.norm\.", "bn1."),
    (r"^blocks\.\d\.proj\.", "fc."),
    (r"(^|\.)blocks\.(\d)\.res_blocks\.", r"\1layer\2."),
    (r"\.branch1_conv\.", ".downsample.0."),
    (r"\.branch1_norm\.", ".downsample.1."),
    *((rf"\.branch2\.conv_{letter}\.", f".conv{n}.") for n, letter in enumerate("abc", start=1)),
    *((rf"\.branch2\.norm_{letter}\.", f".bn{n}.") for n, letter in enumerate("abc", start=1)),
)
# I3D's pool after the first stage is a block of its own.
PYTORCHVIDEO_I3D: Renames = (
    *((rf"^blocks\.{stage + 1}\.res_blocks\.", f"blocks.{stage}.res_blocks.") for stage in (2, 3, 4)),
    *PYTORCHVIDEO,
)
PYSLOWFAST: Renames = (
    *((rf"^s{stage + 1}\.", f"layer{stage}.") for stage in (1, 2, 3, 4)),
    (r"^s1\.pathway\d_stem\.conv\.", "conv1."),
    (r"^s1\.pathway\d_stem\.bn\.", "bn1."),
    (r"\.pathway\d_res(\d+)\.", r".\1."),
    (r"\.branch1\.", ".downsample.0."),
    (r"\.branch1_bn\.", ".downsample.1."),
    *((rf"\.branch2\.{letter}\.", f".conv{n}.") for n, letter in enumerate("abc", start=1)),
    *((rf"\.branch2\.{letter}_bn\.", f".bn{n}.") for n, letter in enumerate("abc", start=1)),
    (r"^head\.projection\.", "fc."),
)
PYSLOWFAST_SLOWFAST: Renames = (
    *((rf"^s{stage + 1}_fuse\.conv_f2s\.", f"laterals.{stage}.conv.") for stage in (0, 1, 2, 3)),
    *((rf"^s{stage + 1}_fuse\.bn\.", f"laterals.{stage}.after.0.") for stage in (0, 1, 2, 3)),
    (r"^s1\.pathway0_stem\.conv\.", "slow.stem.0."),
    (r"^s1\.pathway0_stem\.bn\.", "slow.stem.1."),
    (r"^s1\.pathway1_stem\.conv\.", "fast.stem.0."),
    (r"^s1\.pathway1_stem\.bn\.", "fast.stem.1."),
    *((rf"^s{stage + 1}\.pathway0_", f"slow.layer{stage}.pathway0_") for stage in (1, 2, 3, 4)),
    *((rf"^s{stage + 1}\.pathway1_", f"fast.layer{stage}.pathway1_") for stage in (1, 2, 3, 4)),
    *PYSLOWFAST,
)
SMALLBIG: Renames = ((r"\.big([123])\.1\.", r".big\1."),)

# Timeception's code has one convolution for each group of channels, ours one for all: @n is the n-th piece.
TIMECEPTION: Renames = (
    *(
        (rf"^(conv|convdw|bn)_b{branch + 1}_g(\d)_tc{layer + 1}\.(.*)$", rf"layers.{layer}.branches.{branch}.\1.\3@\2")
        for branch in range(5)
        for layer in range(4)
    ),
    (r"\.conv\.", ".reduce."),
    (r"\.convdw\.depthwise_conv1d\.", ".over_time."),
    (r"\.bn\.", ".norm."),
)

# A picture classifier without its auxiliary head; its last layer is classifier.6 in VGG, and fc in the others.
CLASSIFIER: Renames = (
    (r"^(aux\d|AuxLogits)\..*$", ""),
    (r"^classifier\.6\.", "fc."),
    (r"^(?!fc\.)(?=.)", "pictures."),
)

# EfficientNet-PyTorch's blocks, numbered without stages; the first has no expansion, and a fifth tensor of each norm.
EFFICIENTNET_PYTORCH: Renames = (
    (r"^_conv_stem\.", "features.0.0."),
    (r"^_bn0\.", "features.0.1."),
    (r"^_conv_head\.", "features.17.0."),
    (r"^_bn1\.", "features.17.1."),
    (r"^_fc\.", "classifier.1."),
    *((rf"^_blocks\.{block}\.", f"features.{block + 1}.conv.") for block in range(16)),
    (r"^(features\.1\.conv)\._depthwise_conv\.", r"\1.0.0."),
    (r"^(features\.1\.conv)\._bn1\.", r"\1.0.1."),
    (r"^(features\.1\.conv)\._project_conv\.", r"\1.1."),
    (r"^(features\.1\.conv)\._bn2\.", r"\1.2."),
    (r"\._expand_conv\.", ".0.0."),
    (r"\._bn0\.", ".0.1."),
    (r"\._depthwise_conv\.", ".1.0."),
    (r"\._bn1\.", ".1.1."),
    (r"\._project_conv\.", ".2."),
    (r"\._bn2\.", ".3."),
)

# MMAction2's MobileNetV2: stages of blocks, in which each convolution and its norm are one module.
MOBILENET_V2_MMACTION2: Renames = (
    (r"^backbone\.", ""),
    (r"\.net\.", "."),
    (r"^conv1\.", "features.0."),
    (r"^conv2\.", "features.18."),
    *(
        (rf"^layer{stage}\.{block}\.", f"features.{first + block}.")
        for stage, first, num_blocks in ((1, 1, 1), (2, 2, 2), (3, 4, 3), (4, 7, 4), (5, 11, 3), (6, 14, 3), (7, 17, 1))
        for block in range(num_blocks)
    ),
    (r"^features\.1\.conv\.1\.conv\.", "features.1.conv.1."),
    (r"^features\.1\.conv\.1\.bn\.", "features.1.conv.2."),
    (r"\.conv\.2\.conv\.", ".conv.2."),
    (r"\.conv\.2\.bn\.", ".conv.3."),
    (r"\.conv\.(?=weight)", ".0."),
    (r"\.bn\.", ".1."),
    (r"^cls_head\.fc_cls\.", "classifier.1."),
)
