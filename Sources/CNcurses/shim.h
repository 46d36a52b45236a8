#pragma once
#define _XOPEN_SOURCE_EXTENDED 1
#include <langinfo.h>
#include <locale.h>
#include <ncursesw/ncurses.h>
#include <stdio.h>
#include <string.h>

/* What of ncurses is a macro or a variable, as functions. */

/* What a terminal sends around text that is pasted, as keys beyond ncurses' own. */
#define KARVAN_KEY_PASTE_BEGIN (KEY_MAX + 1)
#define KARVAN_KEY_PASTE_END (KEY_MAX + 2)

/* Takes the terminal over; 0 where it isn't known, or can't move its cursor. */
static inline int karvan_screen_begin(void) {
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
    if (!newterm(NULL, stdout, stdin)) return 0;
    if (!tigetstr("cup")) {
        endwin();
        return 0;
    }
    define_key("\033[200~", KARVAN_KEY_PASTE_BEGIN);
    define_key("\033[201~", KARVAN_KEY_PASTE_END);
    fputs("\033[?2004h", stdout);
    fflush(stdout);
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    return 1;
}

static inline void karvan_screen_end(void) {
    fputs("\033[?2004l", stdout);
    fflush(stdout);
    curs_set(1);
    endwin();
}

static inline int karvan_screen_rows(void) { return getmaxy(stdscr); }
static inline int karvan_screen_columns(void) { return getmaxx(stdscr); }

static inline void karvan_screen_clear(int is_repainted) {
    if (is_repainted) clearok(stdscr, TRUE);
    werase(stdscr);
}

static inline void karvan_screen_put(int row, int column, const char *text, int is_bold, int is_reversed) {
    wattrset(stdscr, (is_bold ? A_BOLD : A_NORMAL) | (is_reversed ? A_REVERSE : A_NORMAL));
    mvwaddstr(stdscr, row, column, text);
    wattrset(stdscr, A_NORMAL);
}

/* Shows what was put, with the cursor there; a negative row hides it. */
static inline void karvan_screen_show(int row, int column) {
    if (row >= 0) {
        curs_set(1);
        wmove(stdscr, row, column);
    } else {
        curs_set(0);
    }
    wrefresh(stdscr);
}

/* A key: 0 where none came in time, 1 for a character, 2 for a key of ncurses' own. */
static inline int karvan_screen_key(int milliseconds, unsigned *key) {
    wint_t read = 0;
    wtimeout(stdscr, milliseconds);
    int kind = wget_wch(stdscr, &read);
    *key = (unsigned)read;
    if (kind == ERR) return 0;
    return kind == KEY_CODE_YES ? 2 : 1;
}
