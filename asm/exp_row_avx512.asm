; e[c] = exp(z[c] - max) for a row of z, and the sum of it, float32, AVX-512.
;
; exp(x) = 2^n exp(r) with n = round(x / ln 2), and exp(r) by Taylor's sum, as in exp.asm: in
; double, eight lanes at a time, and rounded once at the end. A row of MNIST's ten classes is
; one turn of the loop. Lanes behind the row's end hold -Inf: it is nobody's maximum, and its
; exp is 0.

%include "network.inc"

LANES           equ 16

    default rel
    section .text

    global  exp_row_avx512:function (exp_row_avx512.end - exp_row_avx512)

;   struct { float sum, max; } exp_row_avx512(const float *z, float *e, int64_t classes)
;   rdi = z        [classes]
;   rsi = e        [classes]
;   rdx = classes  > 0
;   returns the sum of e in lane 0 of xmm0 and the largest z in lane 1
;   clobbers rax, rcx, r8, zmm0-2, zmm16-24, k1
%define z_0         rdi
%define e           rsi
%define classes     rdx
%define c           r8                          ; the vector's first class
%define term        rcx                         ; the coefficient whose turn it is
%define value       zmm0
%define t_256       ymm1
%define t           zmm1
%define max         zmm16                       ; in all lanes
%define sum         zmm17                       ; lane by lane
%define lo          zmm18                       ; lanes 0 to 7 as doubles: x, then r
%define hi          zmm19                       ; lanes 8 to 15
%define n_lo        zmm20
%define n_hi        zmm21
%define e_lo        zmm22
%define e_hi        zmm23
%define nothing     zmm24                       ; -Inf
%define inside      k1                          ; lanes that are classes

; FIND_INSIDE: the lanes of the vector at c that are classes
%macro FIND_INSIDE 0.nolist
    mov     eax, LANES
    mov     rcx, classes
    sub     rcx, c
    cmp     rcx, rax
    cmovg   rcx, rax
    mov     eax, -1
    bzhi    eax, eax, ecx                       ; as many ones as classes
    kmovw   inside, eax
%endmacro

exp_row_avx512:
    vbroadcastss nothing, [minus_infinity]
    vmovaps max, nothing
    xor     c, c
.max:
    FIND_INSIDE
    vmaxps  max{inside}, max, [z_0 + c * F32]
    add     c, LANES
    cmp     c, classes
    jl      .max
    vshuff32x4 t, max, max, 0b01001110          ; the other half
    vmaxps  max, max, t
    vshuff32x4 t, max, max, 0b10110001          ; the other quarter
    vmaxps  max, max, t
    vpermilps t, max, 0b01001110                ; the other pair
    vmaxps  max, max, t
    vpermilps t, max, 0b10110001                ; the other one
    vmaxps  max, max, t                         ; in all lanes now

    vpxord  sum, sum, sum
    xor     c, c
.vector:
    FIND_INSIDE
    vmovaps value, nothing
    vmovups value{inside}, [z_0 + c * F32]
    vsubps  value{inside}, value, max
    vcvtps2pd lo, ymm0
    vextractf64x4 t_256, value, 1
    vcvtps2pd hi, t_256
    vbroadcastsd n_lo, [least]
    vmaxpd  lo, n_lo, lo                        ; exp(-110) is 0 as a float32, and 2^n a double;
    vmaxpd  hi, n_lo, hi                        ;   x is at most 0; in this order NaN stays NaN

    vmulpd  n_lo, lo, [one_by_ln2]{1to8}
    vmulpd  n_hi, hi, [one_by_ln2]{1to8}
    vrndscalepd n_lo, n_lo, 0                   ; to nearest
    vrndscalepd n_hi, n_hi, 0
    vfnmadd231pd lo, n_lo, [ln2]{1to8}
    vfnmadd231pd hi, n_hi, [ln2]{1to8}

    lea     term, [taylor]
    mov     eax, TERMS - 1
    vbroadcastsd e_lo, [term]                   ; Horner, from the highest power down
    vmovapd e_hi, e_lo
.horner:
    add     term, 8
    vfmadd213pd e_lo, lo, [term]{1to8}
    vfmadd213pd e_hi, hi, [term]{1to8}
    dec     eax
    jnz     .horner

    vscalefpd e_lo, e_lo, n_lo                  ; times 2^n
    vscalefpd e_hi, e_hi, n_hi
    vcvtpd2ps ymm0, e_lo
    vcvtpd2ps t_256, e_hi
    vinsertf64x4 value, value, t_256, 1
    vmovups [e + c * F32]{inside}, value
    vaddps  sum, sum, value
    add     c, LANES
    cmp     c, classes
    jl      .vector

    vshuff32x4 t, sum, sum, 0b01001110
    vaddps  sum, sum, t
    vshuff32x4 t, sum, sum, 0b10110001
    vaddps  sum, sum, t
    vpermilps t, sum, 0b01001110
    vaddps  sum, sum, t
    vpermilps t, sum, 0b10110001
    vaddps  sum, sum, t
    vunpcklps zmm0, sum, max
    vzeroupper
    ret
.end:

%undef z_0
%undef e
%undef classes
%undef c
%undef term
%undef value
%undef t_256
%undef t
%undef max
%undef sum
%undef lo
%undef hi
%undef n_lo
%undef n_hi
%undef e_lo
%undef e_hi
%undef nothing
%undef inside

    section .rodata align=8

one_by_ln2:     dq 1.4426950408889634           ; 1 / ln 2
ln2:            dq 0.6931471805599453
least:          dq -110.0                       ; exp(-103.98) is under half the smallest float32
taylor:         dq 2.7557319223985891e-7        ; 1 / 10!
                dq 2.7557319223985891e-6        ; 1 / 9!
                dq 2.4801587301587302e-5        ; 1 / 8!
                dq 1.9841269841269841e-4        ; 1 / 7!
                dq 1.3888888888888889e-3        ; 1 / 6!
                dq 8.3333333333333333e-3        ; 1 / 5!
                dq 4.1666666666666667e-2        ; 1 / 4!
                dq 0.16666666666666667          ; 1 / 3!
                dq 0.5                          ; 1 / 2!
                dq 1.0                          ; 1 / 1!
                dq 1.0                          ; 1 / 0!
TERMS           equ ($ - taylor) / 8
minus_infinity: dd 0xff800000

    section .note.GNU-stack noalloc noexec nowrite progbits
