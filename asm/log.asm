; log(x) = e ln 2 + log(m) with x = 2^e m and m in 0.707..1.415, and
; log(m) = 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1), so |s| <= 0.172.
;
; That is the series of 2 atanh(s). Up to s^15 it leaves out at most 3.4e-14 of the whole.
; All of it in double, then rounded once: the float32 is off by little more than half a unit
; in its last place.

    default rel
    section .text

    global  log_f32:function (log_f32.end - log_f32)

;   float log_f32(float x)
;   xmm0 = x  anything; 0 gives -Inf, a negative number NaN, Inf stays Inf and NaN NaN
;   returns log(x) in xmm0
;   clobbers rax, rcx, rdx, xmm0-4
%define bits        rax                         ; of the double
%define exponent    rdx                         ; e
%define term        rdx                         ; the coefficient whose turn it is
%define s           xmm0
%define square      xmm1                        ; s^2
%define sum         xmm2
%define whole       xmm3                        ; e ln 2
%define t           xmm4

log_f32:
    xorps   t, t
    ucomiss xmm0, t
    jp      .done                               ; NaN
    jb      .negative
    je      .zero
    movd    eax, xmm0
    cmp     eax, 0x7f800000                     ; Inf
    je      .done

    cvtss2sd xmm0, xmm0                         ; as a double even the smallest float is normal
    movq    bits, xmm0
    mov     exponent, bits
    shr     exponent, 52
    sub     exponent, 1023
    mov     rcx, 0x000fffffffffffff
    and     bits, rcx
    mov     rcx, 0x3ff0000000000000
    or      bits, rcx                           ; m in 1..2: the same digits, exponent 0
    movq    s, bits
    comisd  s, [sqrt2]
    jbe     .reduced
    mulsd   s, [half]                           ; around 1, or log(0.999) would be the difference
    inc     exponent                            ;   of two large numbers
.reduced:
    cvtsi2sd whole, exponent
    mulsd   whole, [ln2]

    movapd  t, s
    subsd   s, [one]
    addsd   t, [one]
    divsd   s, t
    movapd  square, s
    mulsd   square, square

    lea     term, [atanh_series]
    mov     ecx, TERMS - 1
    movsd   sum, [term]                         ; Horner, from the highest power down
.horner:
    add     term, 8
    mulsd   sum, square
    addsd   sum, [term]
    dec     ecx
    jnz     .horner

    mulsd   sum, s
    addsd   sum, sum
    addsd   sum, whole
    cvtsd2ss xmm0, sum
.done:
    ret

.zero:
    movss   xmm0, [minus_infinity]
    ret

.negative:
    movss   xmm0, [not_a_number]
    ret
.end:

%undef bits
%undef exponent
%undef term
%undef s
%undef square
%undef sum
%undef whole
%undef t

    section .rodata align=8

ln2:            dq 0.6931471805599453
sqrt2:          dq 1.4142135623730951
half:           dq 0.5
one:            dq 1.0
atanh_series:   dq 6.6666666666666667e-2        ; 1 / 15
                dq 7.6923076923076923e-2        ; 1 / 13
                dq 9.0909090909090909e-2        ; 1 / 11
                dq 0.1111111111111111           ; 1 / 9
                dq 0.14285714285714286          ; 1 / 7
                dq 0.2                          ; 1 / 5
                dq 0.33333333333333333          ; 1 / 3
                dq 1.0                          ; 1 / 1
TERMS           equ ($ - atanh_series) / 8
minus_infinity: dd 0xff800000
not_a_number:   dd 0x7fc00000

    section .note.GNU-stack noalloc noexec nowrite progbits
