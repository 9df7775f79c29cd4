// Stands for an old version of a library of the system's: the name is there, its versions are not.
extern "C" int omp_get_max_threads();
extern "C" int omp_get_max_threads() {
  return 1;
}
