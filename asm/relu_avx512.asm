; ReLU and its derivative, float32, AVX-512.
;
;   h  = max(z, 0)
;   dz = grad where z > 0, else 0

%include "network.inc"

    default rel
    section .text

    global  relu_avx512:function (relu_avx512.end - relu_avx512)
    global  relu_grad_avx512:function (relu_grad_avx512.end - relu_grad_avx512)

;   void relu_avx512(const float *z, float *h, int64_t count)
;   rdi = z      [count]
;   rsi = h      [count]
;   rdx = count  >= 0
;   clobbers rax, rdx, rdi, rsi, zmm0, zmm1, k1
%define z_i         rdi
%define h           rsi
%define count       rdx                         ; numbers still to do
%define zero        zmm0
%define value       zmm1
%define inside      k1                          ; lanes that are numbers

relu_avx512:
    vpxord  zero, zero, zero
    mov     eax, -1
    kmovw   inside, eax
.loop:
    cmp     count, 16
    jge     .inside
    test    count, count
    jle     .done
    bzhi    eax, eax, edx                       ; as many ones as numbers
    kmovw   inside, eax
.inside:
    vmovups value{inside}{z}, [z_i]
    vmaxps  value, zero, value                  ; in this order a NaN in z stays a NaN in h
    vmovups [h]{inside}, value
    add     z_i, 16 * F32
    add     h, 16 * F32
    sub     count, 16
    jmp     .loop
.done:
    vzeroupper
    ret
.end:

%undef z_i
%undef h
%undef count
%undef zero
%undef value
%undef inside

;   void relu_grad_avx512(const float *grad, const float *z, float *dz, int64_t count)
;   rdi = grad   [count]
;   rsi = z      [count]  as it was before relu
;   rdx = dz     [count]
;   rcx = count  >= 0
;   clobbers rax, rcx, rdx, rdi, rsi, zmm0, zmm1, k1, k2
%define grad        rdi
%define z_i         rsi
%define dz          rdx
%define count       rcx                         ; numbers still to do
%define zero        zmm0
%define value       zmm1
%define inside      k1                          ; lanes that are numbers
%define positive    k2                          ; those of them where z > 0

relu_grad_avx512:
    vpxord  zero, zero, zero
    mov     eax, -1
    kmovw   inside, eax
.loop:
    cmp     count, 16
    jge     .inside
    test    count, count
    jle     .done
    bzhi    eax, eax, ecx                       ; as many ones as numbers
    kmovw   inside, eax
.inside:
    vcmpltps positive{inside}, zero, [z_i]
    vmovups value{positive}{z}, [grad]
    vmovups [dz]{inside}, value
    add     grad, 16 * F32
    add     z_i, 16 * F32
    add     dz, 16 * F32
    sub     count, 16
    jmp     .loop
.done:
    vzeroupper
    ret
.end:

%undef grad
%undef z_i
%undef dz
%undef count
%undef zero
%undef value
%undef inside
%undef positive

    section .note.GNU-stack noalloc noexec nowrite progbits
