; dW = x^T grad: dW[i][o] = sum over the batch of x[n][i] grad[n][o], float32, AVX-512.
;
; A product whose left factor lies transposed: its rows are the columns of x. dW is
; overwritten, not added to: nothing is left over from the batch before.

%include "network.inc"

    default rel
    section .text

    extern  product_avx512                      ; product_avx512.asm

    global  dense_grad_weight_avx512:function \
            (dense_grad_weight_avx512.end - dense_grad_weight_avx512)

;   void dense_grad_weight_avx512(const float *x, const float *grad, float *dW,
;                               int64_t rows, int64_t inputs, int64_t outputs)
;   rdi = x        [rows x inputs]     row stride inputs floats
;   rsi = grad     [rows x outputs]    row stride outputs floats
;   rdx = dW       [inputs x outputs]  row stride outputs floats
;   rcx = rows     > 0
;   r8  = inputs   >= 0
;   r9  = outputs  >= 0
;   clobbers what a call may
%define x_stride    rax                         ; bytes from sample to sample

dense_grad_weight_avx512:
    lea     x_stride, [r8 * F32]
    push    x_stride
    push    F32                                 ; bytes from input to input
    push    r9                                  ; 8 + 3 * 8: calls are 16-byte aligned
    mov     r9, rcx                             ; the terms are the samples
    mov     rcx, rdx
    xor     edx, edx                            ; no bias
    call    product_avx512
    add     rsp, 3 * 8
    ret
.end:

%undef x_stride

    section .note.GNU-stack noalloc noexec nowrite progbits
