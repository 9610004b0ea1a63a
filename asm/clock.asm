; Seconds since some moment in the past that no clock change moves.

    default rel
    section .text

    extern  clock_gettime

    global  clock_seconds:function (clock_seconds.end - clock_seconds)

CLOCK_MONOTONIC equ 1

;   double clock_seconds(void)
;   returns seconds in xmm0
;   clobbers what a call may
%define seconds     qword [rsp]                 ; struct timespec
%define nanoseconds qword [rsp + 8]

clock_seconds:
    sub     rsp, 24                             ; 8 + 24: calls are 16-byte aligned
    mov     edi, CLOCK_MONOTONIC
    mov     rsi, rsp
    call    clock_gettime
    cvtsi2sd xmm0, nanoseconds
    divsd   xmm0, [nanoseconds_per_second]
    cvtsi2sd xmm1, seconds
    addsd   xmm0, xmm1
    add     rsp, 24
    ret
.end:

%undef seconds
%undef nanoseconds

    section .rodata align=8

nanoseconds_per_second:
                dq 1.0e9

    section .note.GNU-stack noalloc noexec nowrite progbits
