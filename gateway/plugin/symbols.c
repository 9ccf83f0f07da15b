#include "plugin/symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct image { const char *at; size_t len; };

/* n things of `size` bytes at an offset of the file, or NULL. */
static const void *part(const struct image *m, uint64_t at, uint64_t n, size_t size)
{
	if (at > m->len || n > (m->len - at) / size || at % 4)
		return NULL;
	return m->at + at;
}

static const ElfW(Shdr) *section(const struct image *m, unsigned type, unsigned index)
{
	const ElfW(Ehdr) *head = part(m, 0, 1, sizeof(*head));
	const ElfW(Shdr) *all;

	if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) || head->e_ident[EI_CLASS] != ELFCLASS64)
		return NULL;
	all = part(m, head->e_shoff, head->e_shnum, sizeof(*all));
	if (!all)
		return NULL;
	if (type == SHT_NULL)
		return index < head->e_shnum ? &all[index] : NULL;
	for (unsigned i = 0; i < head->e_shnum; i++)
		if (all[i].sh_type == type)
			return &all[i];
	return NULL;
}

static bool is_exported(const ElfW(Sym) *s)
{
	unsigned bind = ELF64_ST_BIND(s->st_info), see = ELF64_ST_VISIBILITY(s->st_other);

	return s->st_shndx != SHN_UNDEF && (bind == STB_GLOBAL || bind == STB_WEAK || bind == STB_GNU_UNIQUE) &&
		(see == STV_DEFAULT || see == STV_PROTECTED);
}

static int walk(const struct image *m, void (*fn)(void *arg, const char *name), void *arg, struct err *err)
{
	const ElfW(Shdr) *dyn = section(m, SHT_DYNSYM, 0);
	const ElfW(Shdr) *str = dyn ? section(m, SHT_NULL, dyn->sh_link) : NULL;
	const ElfW(Sym) *syms = dyn ? part(m, dyn->sh_offset, dyn->sh_size / sizeof(*syms), sizeof(*syms)) : NULL;
	const char *names = str && str->sh_offset <= m->len && str->sh_size <= m->len - str->sh_offset ?
		m->at + str->sh_offset : NULL;

	if (!syms || !names || !str->sh_size || names[str->sh_size - 1])
		return fail(err, MG_EINVAL, "it has no table of dynamic symbols");
	for (size_t i = 1; i < dyn->sh_size / sizeof(*syms); i++)
		if (is_exported(&syms[i]) && syms[i].st_name < str->sh_size)
			fn(arg, names + syms[i].st_name);
	return MG_OK;
}

int symbols_each(int fd, void (*fn)(void *arg, const char *name), void *arg, struct err *err)
{
	struct image m;
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0 || st.st_size <= 0)
		return fail(err, MG_EINVAL, "it cannot be read");
	m.len = (size_t)st.st_size;
	m.at = mmap(NULL, m.len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (m.at == MAP_FAILED)
		return fail(err, MG_ENOMEM, "it cannot be mapped");
	rc = walk(&m, fn, arg, err);
	munmap((void *)m.at, m.len);
	return rc;
}
