namespace Tributary.Streaming;

/// <summary>How a stream learns of changes of the schema.</summary>
public enum SchemaMode
{
    /// <summary>By event triggers where the source's role may create them; otherwise by what the rows' own descriptions show.</summary>
    Auto,

    /// <summary>Not at all: the first row of another shape stops the stream.</summary>
    None,
}
