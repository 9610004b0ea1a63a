; z = x W + b, float32, AVX-512.

%include "network.inc"

    default rel
    section .text

    extern  product_avx512                      ; product_avx512.asm

    global  dense_avx512:function (dense_avx512.end - dense_avx512)

;   void dense_avx512(const float *x, const float *W, const float *b, float *z,
;                   int64_t rows, int64_t inputs, int64_t outputs)
;   rdi = x        [rows x inputs]     row stride inputs floats
;   rsi = W        [inputs x outputs]  row stride outputs floats
;   rdx = b        [outputs]
;   rcx = z        [rows x outputs]    row stride outputs floats
;   r8  = rows     >= 0
;   r9  = inputs   > 0
;   [rsp + 8] = outputs  >= 0
;   clobbers what a call may
dense_avx512:
    mov     rax, [rsp + 8]
    lea     r10, [r9 * F32]
    push    F32                                 ; bytes from input to input,
    push    r10                                 ;   from row to row
    push    rax                                 ; 8 + 3 * 8: calls are 16-byte aligned
    call    product_avx512
    add     rsp, 3 * 8
    ret
.end:

    section .note.GNU-stack noalloc noexec nowrite progbits
