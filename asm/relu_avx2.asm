; ReLU and its derivative, float32, AVX2.
;
;   h  = max(z, 0)
;   dz = grad where z > 0, else 0

%include "network.inc"

    default rel
    section .text

    global  relu_avx2:function (relu_avx2.end - relu_avx2)
    global  relu_grad_avx2:function (relu_grad_avx2.end - relu_grad_avx2)

;   void relu_avx2(const float *z, float *h, int64_t count)
;   rdi = z      [count]
;   rsi = h      [count]
;   rdx = count  >= 0
;   clobbers rdx, rdi, rsi, ymm0, ymm1
%define z           rdi
%define h           rsi
%define count       rdx                         ; numbers still to do
%define zero        ymm0
%define value       ymm1

relu_avx2:
    vxorps  zero, zero, zero
.loop:
    sub     count, 8
    jl      .tail
    vmaxps  value, zero, [z]                    ; in this order a NaN in z stays a NaN in h
    vmovups [h], value
    add     z, 8 * F32
    add     h, 8 * F32
    jmp     .loop

.tail:
    add     count, 8                            ; what the last subtraction took too much
.one:
    jz      .done
    vmaxss  xmm1, xmm0, [z]
    vmovss  [h], xmm1
    add     z, F32
    add     h, F32
    dec     count
    jmp     .one

.done:
    vzeroupper
    ret
.end:

%undef z
%undef h
%undef count
%undef zero
%undef value

;   void relu_grad_avx2(const float *grad, const float *z, float *dz, int64_t count)
;   rdi = grad   [count]
;   rsi = z      [count]  as it was before relu
;   rdx = dz     [count]
;   rcx = count  >= 0
;   clobbers rcx, rdx, rdi, rsi, ymm0-2
%define grad        rdi
%define z           rsi
%define dz          rdx
%define count       rcx                         ; numbers still to do
%define zero        ymm0
%define mask        ymm1                        ; all bits where z > 0

relu_grad_avx2:
    vxorps  zero, zero, zero
.loop:
    sub     count, 8
    jl      .tail
    vcmpltps mask, zero, [z]
    vandps  mask, mask, [grad]
    vmovups [dz], mask
    add     grad, 8 * F32
    add     z, 8 * F32
    add     dz, 8 * F32
    jmp     .loop

.tail:
    add     count, 8                            ; what the last subtraction took too much
.one:
    jz      .done
    vcmpltss xmm1, xmm0, [z]
    vmovss  xmm2, [grad]
    vandps  xmm1, xmm1, xmm2
    vmovss  [dz], xmm1
    add     grad, F32
    add     z, F32
    add     dz, F32
    dec     count
    jmp     .one

.done:
    vzeroupper
    ret
.end:

%undef grad
%undef z
%undef dz
%undef count
%undef zero
%undef mask

    section .note.GNU-stack noalloc noexec nowrite progbits
