namespace Tributary.Demo;

/// <summary>
/// Where the story is told. The command line implements it for a terminal and for a pipe; nothing in this project writes to a console.
/// Calls come from one task at a time.
/// </summary>
public interface INarrator
{
    /// <summary>A new part of the story begins.</summary>
    void Section(string title);

    /// <summary>One sentence or one line of output.</summary>
    void Line(string text);

    /// <summary>Work that takes a while moves on. The last call for a label has <paramref name="fraction"/> 1.</summary>
    /// <param name="fraction">From 0 to 1, never falling for one label.</param>
    void Progress(string label, double fraction);

    /// <summary>A table; each row has as many cells as there are columns.</summary>
    void Table(string title, IReadOnlyList<string> columns, IReadOnlyList<IReadOnlyList<string>> rows);
}
