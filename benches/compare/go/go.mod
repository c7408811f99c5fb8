module selvedge/compare

go 1.22
