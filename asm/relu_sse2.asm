; ReLU and its derivative, float32, SSE2.
;
;   h  = max(z, 0)
;   dz = grad where z > 0, else 0

%include "network.inc"

    default rel
    section .text

    global  relu_sse2:function (relu_sse2.end - relu_sse2)
    global  relu_grad_sse2:function (relu_grad_sse2.end - relu_grad_sse2)

;   void relu_sse2(const float *z, float *h, int64_t count)
;   rdi = z      [count]
;   rsi = h      [count]
;   rdx = count  >= 0
;   clobbers rdx, rdi, rsi, xmm0-2
%define z           rdi
%define h           rsi
%define count       rdx                         ; numbers still to do
%define zero        xmm0
%define value       xmm1
%define largest     xmm2

relu_sse2:
    xorps   zero, zero
.loop:
    sub     count, 4
    jl      .tail
    movups  value, [z]
    movaps  largest, zero
    maxps   largest, value                      ; in this order a NaN in z stays a NaN in h
    movups  [h], largest
    add     z, 4 * F32
    add     h, 4 * F32
    jmp     .loop

.tail:
    add     count, 4                            ; what the last subtraction took too much
.one:
    jz      .done
    movss   value, [z]
    movaps  largest, zero
    maxss   largest, value
    movss   [h], largest
    add     z, F32
    add     h, F32
    dec     count
    jmp     .one

.done:
    ret
.end:

%undef z
%undef h
%undef count
%undef zero
%undef value
%undef largest

;   void relu_grad_sse2(const float *grad, const float *z, float *dz, int64_t count)
;   rdi = grad   [count]
;   rsi = z      [count]  as it was before relu
;   rdx = dz     [count]
;   rcx = count  >= 0
;   clobbers rcx, rdx, rdi, rsi, xmm0-2
%define grad        rdi
%define z           rsi
%define dz          rdx
%define count       rcx                         ; numbers still to do
%define zero        xmm0
%define mask        xmm1                        ; all bits where z > 0
%define value       xmm2

relu_grad_sse2:
    xorps   zero, zero
.loop:
    sub     count, 4
    jl      .tail
    movups  value, [z]
    movaps  mask, zero
    cmpltps mask, value
    movups  value, [grad]
    andps   mask, value
    movups  [dz], mask
    add     grad, 4 * F32
    add     z, 4 * F32
    add     dz, 4 * F32
    jmp     .loop

.tail:
    add     count, 4                            ; what the last subtraction took too much
.one:
    jz      .done
    movaps  mask, zero
    cmpltss mask, [z]
    movss   value, [grad]
    andps   mask, value
    movss   [dz], mask
    add     grad, F32
    add     z, F32
    add     dz, F32
    dec     count
    jmp     .one

.done:
    ret
.end:

%undef grad
%undef z
%undef dz
%undef count
%undef zero
%undef mask
%undef value

    section .note.GNU-stack noalloc noexec nowrite progbits
