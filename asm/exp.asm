; exp(x) = 2^n exp(r) with n = round(x / ln 2) and r = x - n ln 2, so |r| <= 0.347.
;
; exp(r) is Taylor's sum up to r^10 / 10!: what it leaves out, r^11 / 11!, is under 3e-13.
; All of it in double, then rounded once: the float32 is off by little more than half a unit
; in its last place.

    default rel
    section .text

    global  exp_f32:function (exp_f32.end - exp_f32)

;   float exp_f32(float x)
;   xmm0 = x  anything; -Inf gives 0, Inf and large numbers Inf, NaN stays NaN
;   returns exp(x) in xmm0
;   clobbers rax, rcx, rdx, xmm0-2
%define exponent    rax                         ; n, then 2^n
%define term        rdx                         ; the coefficient whose turn it is
%define r           xmm0
%define sum         xmm1
%define t           xmm2

exp_f32:
    cvtss2sd r, xmm0
    movsd   t, [exp_most]                       ; outside of these the float32 is Inf or 0 anyway,
    minsd   t, r                                ;   and 2^n must stay a double; in this order
    movsd   r, [exp_least]                      ;   of operands a NaN comes through
    maxsd   r, t

    movsd   t, [one_by_ln2]
    mulsd   t, r
    cvtsd2si exponent, t                        ; n, to nearest
    cvtsi2sd t, exponent
    mulsd   t, [ln2]
    subsd   r, t

    lea     term, [taylor]
    mov     ecx, TERMS - 1
    movsd   sum, [term]                         ; Horner, from the highest power down
.horner:
    add     term, 8
    mulsd   sum, r
    addsd   sum, [term]
    dec     ecx
    jnz     .horner

    add     exponent, 1023                      ; 2^n is a double whose exponent field is n + 1023
    shl     exponent, 52
    movq    t, exponent
    mulsd   sum, t
    cvtsd2ss xmm0, sum
    ret
.end:

%undef exponent
%undef term
%undef r
%undef sum
%undef t

    section .rodata align=8

one_by_ln2:     dq 1.4426950408889634           ; 1 / ln 2
ln2:            dq 0.6931471805599453
exp_most:       dq 90.0                         ; exp(88.73) is past the largest float32
exp_least:      dq -110.0                       ; exp(-103.98) is under half the smallest

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

    section .note.GNU-stack noalloc noexec nowrite progbits
