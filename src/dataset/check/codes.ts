/**
 * What makes a dataset unusable. The codes that the OpenAI Cookbook's checker of chat datasets has
 * (`data_type` to `example_missing_assistant_message`) mean the same here, or a little more.
 */
export type ErrorCode =
  /** Not UTF-8, not JSON, or of a format that has no place here. */
  | "invalid_file_format"
  | "invalid_n_examples"
  | "file_too_large"
  | "mixed_formats"
  | "unsupported_format"
  /** A value of a wrong type. */
  | "data_type"
  | "missing_messages_list"
  | "message_missing_key"
  | "unrecognized_role"
  /** Content that is null, empty or of a wrong type. */
  | "missing_content"
  /** No answer at the end, or none that is trained on. */
  | "example_missing_assistant_message"
  /** A prompt that does not end with a question. */
  | "unexpected_last_message"
  | "misplaced_key"
  | "invalid_weight"
  | "unrecognized_content_part"
  | "invalid_image"
  | "image_too_large"
  | "too_many_images"
  | "too_many_messages"
  | "invalid_tool"
  | "invalid_tool_call"
  | "invalid_function_name"
  | "unknown_tool_call_id"
  /** A key of the example, not of one of its messages. */
  | "example_missing_key"
  | "invalid_output"
  | "missing_item_field"
  | "too_many_problems";

/** What a dataset can be used with, and should perhaps not hold. */
export type WarningCode =
  | "duplicate_example"
  | "duplicates_not_counted"
  | "empty_assistant_message"
  | "empty_text"
  | "equal_outputs"
  | "long_line"
  | "byte_order_mark"
  | "late_system_message"
  | "unanswered_tool_call"
  | "undeclared_function"
  | "invalid_arguments"
  | "unsupported_image"
  | "unrecognized_key"
  | "message_unrecognized_key"
  | "missing_item_fields"
  | "secret_api_key"
  | "secret_private_key"
  | "secret_jwt"
  | "personal_card_number"
  | "personal_email";
