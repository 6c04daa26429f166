using Xunit.Sdk;
using Xunit.v3;

// Each test runs whole systems, several of them under load: side by side on a small machine they would only measure each other.
[assembly: Parallelization(Mode = ParallelMode.None)]
