// Where the kernel itself uses an instruction that could undo the isolation by protection keys
// (base/key_instructions.h). Each such place is written down, in a section of the image's file that is not loaded:
// whatever `./eremite inspect
// --verify` finds elsewhere is an error. The kernel's text is executable for the application, too, which may jump right
// to such a place; so with isolation `mpk` each says what makes that useless:
//
//     erased    needed until the application starts: by then it is overwritten (seal.cpp)
//     checked   what follows it ends the program, unless it was the kernel that came by
//
// ER_KEY_SITE(kind) stands in an asm statement, right before the instruction; key_sites.inc has the same for assembly.
#pragma once

/// A record: address, kind.
#define ER_KEY_SITE_RECORD(number)                                                                                     \
    ".Lkey_site%=:\n.pushsection .eremite.key_sites, \"o\", @progbits, .Lkey_site%=\n"                                 \
    ".quad .Lkey_site%=, " number "\n.popsection\n"
#if defined(EREMITE_ISOLATION) && EREMITE_ISOLATION == 2
#define ER_KEY_SITE_erased                                                                                             \
    ER_KEY_SITE_RECORD("1")                                                                                            \
    ".pushsection eremite_erased, \"ao\", @progbits, .Lkey_site%=\n.long .Lkey_site%= - .\n.popsection\n"
#else
#define ER_KEY_SITE_erased ER_KEY_SITE_RECORD("1")
#endif
#define ER_KEY_SITE_checked ER_KEY_SITE_RECORD("2")
#define ER_KEY_SITE(kind) ER_KEY_SITE_##kind
