"""The kernels in Triton compiled for an H100, which needs no GPU: a program that writes what is in them."""

import json
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from dqh.native.device import triton_kernels

WHERE = {"rows": "i64", "stride": "i64", "number": "i32", "tiles": "i32"}
MINIMA = {"allowed": "*u8", "filtered": True, "size": 128, "groups": 8, "together": 8}
KERNELS = {
    "_hamming_minima": MINIMA
    | WHERE
    | {"words": "*i32", "queries": "*i32", "minima": "*i32", "missing": 2**31 - 1, "words_a_code": 2},
    "_table_minima": MINIMA
    | WHERE
    | {"indices": "*u8", "tables": "*fp32", "inverses": "*fp32", "minima": "*fp32"}
    | {"subspaces": 8, "codewords": 256, "scaled": True},
    "_hamming_counts": WHERE
    | dict.fromkeys(("words", "queries", "labels", "query_labels", "counts"), "*i32")
    | {"words_a_code": 2, "words_a_label": 2, "shared": True, "half": 64, "block": 1024, "blocks": 32},
}

if __name__ == "__main__":
    for name, arguments in KERNELS.items():
        kernel = getattr(triton_kernels, name)
        given = {key: arguments[key] for key in kernel.arg_names}
        source = ASTSource(
            fn=kernel,
            signature={key: value if isinstance(value, str) else "constexpr" for key, value in given.items()},
            constexprs={(number,): value for number, value in enumerate(given.values()) if not isinstance(value, str)},
            attrs={
                (number,): [["tt.divisibility", 16]]
                for number, (key, kind) in enumerate(given.items())
                if key == "stride" or str(kind).startswith("*")
            },
        )
        compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": False})
        code = compiled.asm["ptx"]
        words = ("popc.b32", "fma.rn", "atom.global", "st.global", "ld.global.v")
        row = {"name": name, "binary": len(compiled.asm["cubin"])} | {word: code.count(word) for word in words}
        sys.stdout.write(f"{json.dumps(row)}\n")
