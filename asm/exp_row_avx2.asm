; e[c] = exp(z[c] - max) for a row of z, and the sum of it, float32, AVX2 and FMA.
;
; exp(x) = 2^n exp(r) with n = round(x / ln 2), and exp(r) by Taylor's sum, as in exp.asm: in
; double, four lanes at a time, and rounded once at the end. A row of MNIST's ten classes is
; two turns of the loop. Lanes behind the row's end hold -Inf: it is nobody's maximum, and its
; exp is 0.

%include "network.inc"

LANES           equ 8

    default rel
    section .text

    global  exp_row_avx2:function (exp_row_avx2.end - exp_row_avx2)

;   struct { float sum, max; } exp_row_avx2(const float *z, float *e, int64_t classes)
;   rdi = z        [classes]
;   rsi = e        [classes]
;   rdx = classes  > 0
;   returns the sum of e in lane 0 of xmm0 and the largest z in lane 1
;   clobbers rax, rcx, r8, r9, ymm0-12
%define z           rdi
%define e           rsi
%define classes     rdx
%define c           r8                          ; the vector's first class
%define left        r9                          ; classes from c on
%define term        rcx                         ; the coefficient whose turn it is
%define value       ymm0
%define t           ymm1
%define t_128       xmm1
%define max         ymm2                        ; in all lanes
%define sum         ymm3                        ; lane by lane
%define lo          ymm4                        ; lanes 0 to 3 as doubles: x, then r
%define hi          ymm5                        ; lanes 4 to 7
%define n_lo        ymm6
%define n_hi        ymm7
%define e_lo        ymm8
%define e_hi        ymm9
%define factor      ymm10
%define inside      ymm11                       ; all ones in lanes that are classes
%define nothing     ymm12                       ; -Inf

; LOAD_INSIDE: value = the lanes of the vector at c that are classes, -Inf in the others
%macro LOAD_INSIDE 0.nolist
    mov     left, classes
    sub     left, c
    mov     eax, LANES
    cmp     left, rax
    cmovg   left, rax
    neg     left
    lea     rax, [inside_then_outside + LANES * 4]
    vmovups inside, [rax + left * 4]
    vmaskmovps value, inside, [z + c * F32]
    vblendvps value, nothing, value, inside
%endmacro

exp_row_avx2:
    vbroadcastss nothing, [minus_infinity]
    vmovaps max, nothing
    xor     c, c
.max:
    LOAD_INSIDE
    vmaxps  max, max, value
    add     c, LANES
    cmp     c, classes
    jl      .max
    vperm2f128 t, max, max, 1                   ; the other half
    vmaxps  max, max, t
    vpermilps t, max, 0b01001110                ; the other pair
    vmaxps  max, max, t
    vpermilps t, max, 0b10110001                ; the other one
    vmaxps  max, max, t                         ; in all lanes now

    vxorps  sum, sum, sum
    xor     c, c
.vector:
    LOAD_INSIDE
    vsubps  value, value, max
    vblendvps value, nothing, value, inside     ; -Inf again where max is -Inf
    vcvtps2pd lo, xmm0
    vextractf128 t_128, value, 1
    vcvtps2pd hi, t_128
    vbroadcastsd factor, [least]
    vmaxpd  lo, factor, lo                      ; exp(-110) is 0 as a float32, and 2^n a double;
    vmaxpd  hi, factor, hi                      ;   x is at most 0; in this order NaN stays NaN

    vbroadcastsd factor, [one_by_ln2]
    vmulpd  n_lo, lo, factor
    vmulpd  n_hi, hi, factor
    vroundpd n_lo, n_lo, 0                      ; to nearest
    vroundpd n_hi, n_hi, 0
    vbroadcastsd factor, [ln2]
    vfnmadd231pd lo, n_lo, factor
    vfnmadd231pd hi, n_hi, factor

    lea     term, [taylor]
    mov     eax, TERMS - 1
    vbroadcastsd e_lo, [term]                   ; Horner, from the highest power down
    vmovapd e_hi, e_lo
.horner:
    add     term, 8
    vbroadcastsd factor, [term]
    vfmadd213pd e_lo, lo, factor
    vfmadd213pd e_hi, hi, factor
    dec     eax
    jnz     .horner

    vbroadcastsd factor, [exponent_bias]        ; n + 2^52 + 1023 has n + 1023 in its lowest bits,
    vaddpd  n_lo, n_lo, factor
    vaddpd  n_hi, n_hi, factor
    vpsllq  n_lo, n_lo, 52                      ;   and a double with that exponent field is 2^n
    vpsllq  n_hi, n_hi, 52
    vmulpd  e_lo, e_lo, n_lo
    vmulpd  e_hi, e_hi, n_hi
    vcvtpd2ps xmm0, e_lo
    vcvtpd2ps t_128, e_hi
    vinsertf128 value, value, t_128, 1
    vaddps  sum, sum, value
    cmp     left, -LANES
    jne     .last
    vmovups [e + c * F32], value
    add     c, LANES
    cmp     c, classes
    jl      .vector
    jmp     .summed
.last:
    vmaskmovps [e + c * F32], inside, value

.summed:
    vperm2f128 t, sum, sum, 1
    vaddps  sum, sum, t
    vpermilps t, sum, 0b01001110
    vaddps  sum, sum, t
    vpermilps t, sum, 0b10110001
    vaddps  sum, sum, t
    vunpcklps value, sum, max
    vzeroupper
    ret
.end:

%undef z
%undef e
%undef classes
%undef c
%undef left
%undef term
%undef value
%undef t
%undef t_128
%undef max
%undef sum
%undef lo
%undef hi
%undef n_lo
%undef n_hi
%undef e_lo
%undef e_hi
%undef factor
%undef inside
%undef nothing

    section .rodata align=8

one_by_ln2:     dq 1.4426950408889634           ; 1 / ln 2
ln2:            dq 0.6931471805599453
least:          dq -110.0                       ; exp(-103.98) is under half the smallest float32
exponent_bias:  dq 4503599627371519.0           ; 2^52 + 1023
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
inside_then_outside:
                times LANES dd -1
                times LANES dd 0
minus_infinity: dd 0xff800000

    section .note.GNU-stack noalloc noexec nowrite progbits
