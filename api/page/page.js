window.ui = SwaggerUIBundle({ url: "/openapi/v1.json", dom_id: "#page", deepLinking: true });
