# Writes the text of HEADERS to OUTPUT as {"name", "text"} initializers of C++.
string(REPLACE " " ";" headers "${HEADERS}")
set(entries "")
foreach(header IN LISTS headers)
  get_filename_component(name ${header} NAME)
  file(READ ${header} text)
  string(APPEND entries "{\"${name}\", R\"qopt(${text})qopt\"},\n")
endforeach()
file(WRITE ${OUTPUT} "${entries}")
