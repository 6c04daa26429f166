#pragma warning disable CS0649, CS0169, CA1823, CA1812, IDE0051, IDE0052, IDE0044, IDE0130 // Code that exists to be read by the checker, not to be run.
namespace Tributary.Architecture.Tests.Samples
{
    class Root;
}

namespace Tributary.Architecture.Tests.Samples.Cellar
{
    class Bottle : Root;

    [AttributeUsage(AttributeTargets.Class)]
    sealed class LabelAttribute : Attribute;

    static class Shelf
    {
        public static int Count() => 3;

        public static Task<int> CountAsync() => Task.FromResult(3);
    }
}

namespace Tributary.Architecture.Tests.Samples.Kitchen
{
    [Cellar.Label]
    sealed class ByAttribute;

    sealed class ByBaseType : Cellar.Bottle;

    sealed class ByConstraint<T>
        where T : Cellar.Bottle;

    sealed class ByField
    {
        public Cellar.Bottle? Opened;
    }

    sealed class ByGenericArgument
    {
        public static object Make() => new Dictionary<string, Cellar.Bottle[]>();
    }

    sealed class ByMethodBody
    {
        public static int Count(int kind) => kind switch { 0 => 1, 1 => 2, 2 => 3, 3 => Cellar.Shelf.Count(), _ => 0 };
    }

    sealed class ByStateMachine
    {
        public static async Task<int> CountAsync() => await Cellar.Shelf.CountAsync();
    }

    sealed class ByWiring
    {
        public static void Run() => Hosting.Wiring.Run();
    }

    sealed class Allowed : Root
    {
        public ByField Own { get; } = new();
    }
}

namespace Tributary.Architecture.Tests.Samples.Hosting
{
    static class Wiring
    {
        public static void Run() => Cellar.Shelf.Count();
    }
}
