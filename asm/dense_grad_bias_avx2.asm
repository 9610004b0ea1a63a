; dbias[o] = sum over the batch of grad[n][o], float32, AVX2.
;
; 32 columns at a time, down the batch: four sums that do not wait for each other. Then the
; columns that are left, one by one.

%include "network.inc"

    default rel
    section .text

    global  dense_grad_bias_avx2:function (dense_grad_bias_avx2.end - dense_grad_bias_avx2)

;   void dense_grad_bias_avx2(const float *grad, float *dbias, int64_t rows, int64_t outputs)
;   rdi = grad     [rows x outputs]  row stride outputs floats
;   rsi = dbias    [outputs]
;   rdx = rows     > 0
;   rcx = outputs  >= 0
;   clobbers rax, rcx, rdi, rsi, r8, r9, ymm0-3
%define grad        rdi                         ; the column in row 0
%define dbias       rsi
%define rows        rdx
%define outputs     rcx                         ; columns still to do
%define stride      r8                          ; bytes from row to row
%define grad_n      r9                          ; the column in row n
%define n           rax                         ; rows still to add

dense_grad_bias_avx2:
    lea     stride, [outputs * F32]

.wide:                                          ; 32 columns
    sub     outputs, 32
    jl      .tail
    mov     grad_n, grad
    vxorps  ymm0, ymm0, ymm0
    vxorps  ymm1, ymm1, ymm1
    vxorps  ymm2, ymm2, ymm2
    vxorps  ymm3, ymm3, ymm3
    mov     n, rows
.wide_n:
    vaddps  ymm0, ymm0, [grad_n]
    vaddps  ymm1, ymm1, [grad_n + 32]
    vaddps  ymm2, ymm2, [grad_n + 64]
    vaddps  ymm3, ymm3, [grad_n + 96]
    add     grad_n, stride
    dec     n
    jnz     .wide_n
    vmovups [dbias], ymm0
    vmovups [dbias + 32], ymm1
    vmovups [dbias + 64], ymm2
    vmovups [dbias + 96], ymm3
    add     grad, 32 * F32
    add     dbias, 32 * F32
    jmp     .wide

.tail:
    add     outputs, 32                         ; what the last subtraction took too much
.one:
    jz      .done
    mov     grad_n, grad
    vxorps  xmm0, xmm0, xmm0
    mov     n, rows
.one_n:
    vaddss  xmm0, xmm0, [grad_n]
    add     grad_n, stride
    dec     n
    jnz     .one_n
    vmovss  [dbias], xmm0
    add     grad, F32
    add     dbias, F32
    dec     outputs
    jmp     .one

.done:
    vzeroupper
    ret
.end:

%undef grad
%undef dbias
%undef rows
%undef outputs
%undef stride
%undef grad_n
%undef n

    section .note.GNU-stack noalloc noexec nowrite progbits
