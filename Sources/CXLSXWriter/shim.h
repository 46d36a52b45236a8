#pragma once
#include <dlfcn.h>
#include <xlsxwriter.h>

/* One command writes workbooks, and not every laptop has the library: so the programs aren't linked with
   it. It is loaded when it is first needed, and each function is looked up by its name. */
static inline void *karvan_xlsx_library(void) {
    static void *library = NULL;
    void *loaded = __atomic_load_n(&library, __ATOMIC_ACQUIRE);
    if (!loaded) {
        loaded = dlopen("libxlsxwriter.so.4", RTLD_NOW | RTLD_LOCAL);
        __atomic_store_n(&library, loaded, __ATOMIC_RELEASE);
    }
    return loaded;
}

/* Why it can't be loaded; NULL when it can. To be asked before anything else here is called. */
static inline const char *karvan_xlsx_problem(void) {
    return karvan_xlsx_library() ? NULL : dlerror();
}

#define KARVAN_XLSX(function) ((__typeof__(&function))dlsym(karvan_xlsx_library(), #function))

static inline const char *karvan_xlsx_strerror(lxw_error error) {
    return KARVAN_XLSX(lxw_strerror)(error);
}

/* A workbook is handed on as what only these functions look into. */

static inline void *karvan_xlsx_workbook_new(const char *path) {
    return KARVAN_XLSX(workbook_new)(path);
}

static inline int karvan_xlsx_workbook_close(void *workbook) {
    return (int)KARVAN_XLSX(workbook_close)((lxw_workbook *)workbook);
}

/* `created` in seconds since 1970, never 0: that would be now. */
static inline void karvan_xlsx_workbook_set_title(void *workbook, const char *title, long created) {
    lxw_doc_properties properties = {.title = (char *)title, .created = (time_t)created};
    KARVAN_XLSX(workbook_set_properties)((lxw_workbook *)workbook, &properties);
}

static inline void *karvan_xlsx_add_worksheet(void *workbook, const char *name) {
    return KARVAN_XLSX(workbook_add_worksheet)((lxw_workbook *)workbook, name);
}

/* A format; `number` is NULL for none, `background` negative for none. */
static inline void *karvan_xlsx_add_format(
    void *workbook, const char *number, int isBold, int wraps, int background) {
    lxw_format *format = KARVAN_XLSX(workbook_add_format)((lxw_workbook *)workbook);
    if (!format) return NULL;
    if (number) KARVAN_XLSX(format_set_num_format)(format, number);
    if (isBold) KARVAN_XLSX(format_set_bold)(format);
    if (wraps) {
        KARVAN_XLSX(format_set_text_wrap)(format);
        KARVAN_XLSX(format_set_align)(format, LXW_ALIGN_VERTICAL_TOP);
    }
    if (background >= 0) KARVAN_XLSX(format_set_bg_color)(format, (lxw_color_t)background);
    return format;
}

static inline int karvan_xlsx_write_string(
    void *sheet, uint32_t row, uint16_t column, const char *text, void *format) {
    return (int)KARVAN_XLSX(worksheet_write_string)(
        (lxw_worksheet *)sheet, row, column, text, (lxw_format *)format);
}

static inline int karvan_xlsx_write_number(
    void *sheet, uint32_t row, uint16_t column, double number, void *format) {
    return (int)KARVAN_XLSX(worksheet_write_number)(
        (lxw_worksheet *)sheet, row, column, number, (lxw_format *)format);
}

static inline void karvan_xlsx_set_width(void *sheet, uint16_t column, double width) {
    KARVAN_XLSX(worksheet_set_column)((lxw_worksheet *)sheet, column, column, width, NULL);
}

/* The line of titles stays on the screen, is printed on each page, and filters the lines below it. */
static inline void karvan_xlsx_set_table(
    void *sheet, uint32_t titles, uint32_t last, uint16_t columns) {
    lxw_worksheet *worksheet = (lxw_worksheet *)sheet;
    KARVAN_XLSX(worksheet_freeze_panes)(worksheet, titles + 1, 0);
    KARVAN_XLSX(worksheet_autofilter)(worksheet, titles, 0, last, columns - 1);
    KARVAN_XLSX(worksheet_repeat_rows)(worksheet, titles, titles);
}

static inline void karvan_xlsx_set_page(void *sheet) {
    lxw_worksheet *worksheet = (lxw_worksheet *)sheet;
    KARVAN_XLSX(worksheet_set_landscape)(worksheet);
    KARVAN_XLSX(worksheet_set_paper)(worksheet, 9); /* A4 */
    KARVAN_XLSX(worksheet_fit_to_pages)(worksheet, 1, 0);
    KARVAN_XLSX(worksheet_set_footer)(worksheet, "&L&A&RPage &P of &N");
}

/* A chart of stacked bars. */
static inline void *karvan_xlsx_add_stacked_bars(void *workbook, const char *title) {
    lxw_chart *chart = KARVAN_XLSX(workbook_add_chart)((lxw_workbook *)workbook, LXW_CHART_BAR_STACKED);
    if (!chart) return NULL;
    KARVAN_XLSX(chart_title_set_name)(chart, title);
    KARVAN_XLSX(chart_axis_set_reverse)(chart->x_axis);
    return chart;
}

/* Names and numbers stand in columns of a sheet, from the line `first` to the line `last`. */
static inline void karvan_xlsx_add_series(
    void *chart, const char *sheet, uint16_t names, uint16_t numbers, uint32_t titles,
    uint32_t first, uint32_t last, int colour) {
    lxw_chart_series *series = KARVAN_XLSX(chart_add_series)((lxw_chart *)chart, NULL, NULL);
    if (!series) return;
    KARVAN_XLSX(chart_series_set_categories)(series, sheet, first, names, last, names);
    KARVAN_XLSX(chart_series_set_values)(series, sheet, first, numbers, last, numbers);
    KARVAN_XLSX(chart_series_set_name_range)(series, sheet, titles, numbers);
    lxw_chart_fill fill = {.color = (lxw_color_t)colour};
    KARVAN_XLSX(chart_series_set_fill)(series, &fill);
}

static inline void karvan_xlsx_insert_chart(void *sheet, void *chart, uint32_t row, uint16_t column) {
    lxw_chart_options options = {.x_scale = 1.5, .y_scale = 1.5};
    KARVAN_XLSX(worksheet_insert_chart_opt)(
        (lxw_worksheet *)sheet, row, column, (lxw_chart *)chart, &options);
}
