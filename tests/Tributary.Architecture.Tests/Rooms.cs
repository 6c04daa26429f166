namespace Tributary.Architecture.Tests;

/// <summary>
/// The rule of rooms: a room is the part of a namespace that follows the project's own. A room uses the project's root and itself;
/// only <c>Hosting</c> and the root, where the coordinators are, see all rooms. Contracts is one vocabulary and has no rooms in this sense.
/// </summary>
static class Rooms
{
    const string Unrestricted = "Hosting";

    /// <summary>Each use of one room's type by another room, as a sentence.</summary>
    public static IReadOnlyList<string> Breaches(string assemblyPath, string rootNamespace)
    {
        using var references = new AssemblyReferences(assemblyPath);
        var breaches =
            from use in references.Read()
            let user = RoomOf(use.FromNamespace, rootNamespace)
            let used = RoomOf(use.ToNamespace, rootNamespace)
            where user is not (null or "" or Unrestricted) && used is not (null or "") && user != used
            select $"{user}/{use.FromType} uses {used}/{use.ToType}";
        return [.. breaches.Order(StringComparer.Ordinal)];
    }

    // Null for what lies outside the project's namespace, such as types that a source generator adds; empty for the root.
    static string? RoomOf(string typeNamespace, string rootNamespace)
    {
        if (typeNamespace == rootNamespace)
            return "";
        return typeNamespace.StartsWith(rootNamespace + ".", StringComparison.Ordinal) ? typeNamespace[(rootNamespace.Length + 1)..].Split('.')[0] : null;
    }
}
